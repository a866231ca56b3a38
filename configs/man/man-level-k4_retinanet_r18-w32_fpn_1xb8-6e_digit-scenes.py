_base_ = (
    '../local_fpn/local-fpn-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
)
host = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.ConvLevel'),
    head=dict(type='mmfba.TaskHead', stacked_convs=2),
)
auxiliary = dict(type='mmfba.MANAuxiliary', learn_scale=True, host=host)
model = dict(local_learning=dict(partition='stage', auxiliary=auxiliary))
del host, auxiliary
