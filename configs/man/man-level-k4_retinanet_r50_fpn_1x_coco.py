_base_ = '../local_fpn/local-fpn-k4_retinanet_r50_fpn_1x_coco.py'
model = dict(
    local_learning=dict(
        auxiliary=dict(
            type='mmfba.MANAuxiliary',
            learn_scale=True,
            host=dict(
                type='mmfba.FBAAuxiliary',
                neck=dict(type='mmfba.ConvLevel'),
                head=dict(type='mmfba.TaskHead', stacked_convs=2),
            ),
        ),
    )
)
