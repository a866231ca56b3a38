_base_ = [
    '../fba/fba-k16_resnet32_1xb128-400e_stl10.py',
    '../_base_/recipes/paper.py',
]
model = dict(local_learning=_base_.paper.s1.classification)
