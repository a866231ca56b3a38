_base_ = [
    '../fba/fba-k4_yolov1_r34_1xb32-90e_coco.py',
    '../_base_/recipes/paper.py',
]
model = dict(local_learning=_base_.paper.s1.yolov1)
optim_wrapper = dict(optimizer=dict(lr=_base_.paper.detection_lr))
