_base_ = [
    '../fba/fba-k16_resnet32_1xb1024-400e_cifar10.py',
    '../_base_/recipes/paper.py',
]
model = dict(local_learning=_base_.paper.s2.classification)
