# FBA and the recommended local FPN, and the recipe of the paper and of its
# earlier version.
metric = 'coco/bbox_mAP'
shape = (128, 128)
name = 'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
    'FBA (K=2)': dict(config=f'configs/fba/fba-k2_{name}.py'),
    'local FPN': dict(config=f'configs/local_fpn/local-fpn-k4_{name}.py'),
    'paper, s1': dict(config=f'configs/fba_paper/fba-s1-k4_{name}.py'),
    'paper, s2': dict(config=f'configs/fba_paper/fba-s2-k4_{name}.py'),
}
del name
