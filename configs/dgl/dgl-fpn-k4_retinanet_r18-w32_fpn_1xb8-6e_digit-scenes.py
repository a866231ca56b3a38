_base_ = '../fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(
    local_learning=dict(auxiliary=dict(neck=dict(type='mmfba.DGLFPN')))
)
