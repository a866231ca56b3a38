_base_ = [
    '../fba/fba-k4_retinanet_r34-pretrained_fpn_1xb64-90e_coco.py',
    '../_base_/recipes/paper.py',
]
model = dict(local_learning=_base_.paper.s1.detection)
optim_wrapper = dict(optimizer=dict(lr=_base_.paper.detection_lr))
