_base_ = (
    '../local_fpn/local-fpn-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
)
model = dict(
    local_learning=dict(auxiliary=dict(neck=dict(type='mmfba.DGLFPN')))
)
