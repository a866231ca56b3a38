# A module for each block, as in the paper's tables 2 and 4, and fewer: K=17 is
# the stem and 16 blocks.
metric = 'coco/bbox_mAP'
shape = (128, 128)
seeds = [0]
name = 'retinanet_r34-w32_fpn_1xb8-6e_digit-scenes'
local_fpn = f'configs/local_fpn/local-fpn-k17_{name}.py'
k = 'model.local_learning.num_modules'
neck = 'model.local_learning.auxiliary.neck.type'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k17_{name}.py'),
    'local FPN': dict(config=local_fpn),
    'with an SLM': dict(config=local_fpn, options=[f'{neck}=mmfba.SLMFPN']),
    'local FPN, K=8': dict(config=local_fpn, options=[f'{k}=8']),
    'local FPN, K=4': dict(config=local_fpn, options=[f'{k}=4']),
    'DGL': dict(config=f'configs/dgl/dgl-fpn-k17_{name}.py'),
}
del name, local_fpn, k, neck
