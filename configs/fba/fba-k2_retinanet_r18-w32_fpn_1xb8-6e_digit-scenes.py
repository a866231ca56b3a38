# The SLM is as wide as this narrow backbone: half of it is less accurate.
_base_ = './fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(
    local_learning=dict(
        num_modules=2,
        partition=['layer3.0'],
        auxiliary=dict(neck=dict(channel_ratio=1.0)),
    )
)
