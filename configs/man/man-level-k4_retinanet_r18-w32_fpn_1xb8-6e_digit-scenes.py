_base_ = '../fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(
    local_learning=dict(
        partition='stage',
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
