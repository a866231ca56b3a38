_base_ = [
    '../fba/fba-k51_yolov1_r152_1xb32-160e_coco.py',
    '../_base_/recipes/paper.py',
]
model = dict(local_learning=_base_.paper.s2.yolov1)
optim_wrapper = dict(optimizer=dict(lr=_base_.paper.detection_lr))
