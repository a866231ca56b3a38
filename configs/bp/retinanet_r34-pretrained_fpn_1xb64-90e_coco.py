_base_ = './retinanet_r34_fpn_1xb64-90e_coco.py'
pretrained = dict(
    _delete_=True, type='Pretrained', checkpoint='torchvision://resnet34'
)
model = dict(backbone=dict(init_cfg=pretrained))
