# A module for each block, as in the paper's tables 2 and 4, and fewer: K=17 is
# the stem and 16 blocks.
metric = 'coco/bbox_mAP'
shape = (128, 128)
seeds = [0]
name = 'retinanet_r34-w32_fpn_1xb8-6e_digit-scenes'
fba = f'configs/fba/fba-k17_{name}.py'
k = 'model.local_learning.num_modules'
neck = 'model.local_learning.auxiliary.neck.type'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=fba),
    'FBA, with an SLM': dict(config=fba, options=[f'{neck}=mmfba.SLMFPN']),
    'FBA, K=8': dict(config=fba, options=[f'{k}=8']),
    'FBA, K=4': dict(config=fba, options=[f'{k}=4']),
    'DGL': dict(config=f'configs/dgl/dgl-fpn-k17_{name}.py'),
}
del name, fba, k, neck
