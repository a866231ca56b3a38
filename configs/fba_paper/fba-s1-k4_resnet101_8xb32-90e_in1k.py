_base_ = [
    '../fba/fba-k4_resnet101_8xb32-90e_in1k.py',
    '../_base_/recipes/paper.py',
]
model = dict(
    local_learning=dict(_base_.paper.s1.classification, partition='stage')
)
