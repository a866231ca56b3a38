_base_ = [
    '../fba/fba-k2_resnet101_8xb32-90e_in1k.py',
    '../_base_/recipes/paper.py',
]
recipe = _base_.paper.s1.classification
model = dict(local_learning=dict(recipe, partition='uniform'))
del recipe
