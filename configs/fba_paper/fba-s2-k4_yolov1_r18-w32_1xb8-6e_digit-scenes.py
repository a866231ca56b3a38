_base_ = [
    '../fba/fba-k4_yolov1_r18-w32_1xb8-6e_digit-scenes.py',
    '../_base_/recipes/paper.py',
]
model = dict(local_learning=_base_.paper.s2.yolov1)
