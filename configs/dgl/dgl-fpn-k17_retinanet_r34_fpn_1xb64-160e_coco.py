_base_ = '../fba/fba-k17_retinanet_r34_fpn_1xb64-160e_coco.py'
model = dict(
    local_learning=dict(auxiliary=dict(neck=dict(type='mmfba.DGLFPN')))
)
