# Number and place of the cuts, convs of the auxiliary heads, and width of the
# SLM, detection.
metric = 'coco/bbox_mAP'
shape = (128, 128)
name = 'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes'
config = f'configs/fba/fba-k4_{name}.py'
local = 'model.local_learning'
two = [f'{local}.num_modules=2', f'{local}.partition=[layer3.0]']
three = [
    f'{local}.num_modules=3',
    f'{local}.partition=[layer2.0,layer3.0]',
]
wide = f'{local}.auxiliary.neck.channel_ratio=1.0'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA (K=2)': dict(options=two),
    'FBA (K=2, SLM as wide as the backbone)': dict(
        config=f'configs/fba/fba-k2_{name}.py'
    ),
    'FBA (K=3, heads of one conv)': dict(
        options=[*three, f'{local}.auxiliary.head.stacked_convs=1']
    ),
    'FBA (K=3)': dict(options=three),
    'FBA (K=3, SLM as wide as the backbone)': dict(options=[*three, wide]),
    'FBA (K=4)': dict(),
}
del name, local, two, three, wide
