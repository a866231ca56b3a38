_base_ = [
    '../fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py',
    '../_base_/recipes/paper.py',
]
recipe = _base_.paper.s2.detection
recipe.partition = 'stage'
recipe.auxiliary.neck.out_channels = 64  # the main FPN's
model = dict(local_learning=recipe)
