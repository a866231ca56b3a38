_base_ = [
    '../fba/fba-k17_retinanet_r50_fpn_1xb64-160e_coco.py',
    '../_base_/recipes/paper.py',
]
model = dict(local_learning=_base_.paper.s2.detection)
optim_wrapper = dict(optimizer=dict(lr=_base_.paper.detection_lr))
