_base_ = './retinanet_r50_fpn_1xb64-90e_voc07.py'
model = dict(backbone=dict(depth=152))
