_base_ = './retinanet_r50_fpn_1xb64-90e_coco.py'
model = dict(backbone=dict(depth=152))
