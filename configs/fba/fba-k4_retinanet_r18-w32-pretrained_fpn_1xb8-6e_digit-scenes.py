_base_ = [
    '../bp/retinanet_r18-w32-pretrained_fpn_1xb8-6e_digit-scenes.py',
    '../_base_/recipes/fba.py',
]
model = dict(
    type='mmfba.LocalRetinaNet',
    local_learning=dict(_base_.fba, num_modules=4, partition='uniform'),
)
