_base_ = './retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(backbone=dict(depth=34))
