_base_ = './retinanet_r50_fpn_1xb64-90e_coco.py'
model = dict(
    backbone=dict(depth=34), neck=dict(in_channels=[64, 128, 256, 512])
)
