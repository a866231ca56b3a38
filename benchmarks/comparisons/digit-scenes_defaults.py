# Detection: what the slim auxiliary networks of the default, a local FPN, cost
# in accuracy, what FBA does, and what an SLM in front of the local FPN and
# other heads do with the same early cuts.
metric = 'coco/bbox_mAP'
shape = (128, 128)
name = 'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes'
config = f'configs/local_fpn/local-fpn-k4_{name}.py'
neck = 'model.local_learning.auxiliary.neck'
head = 'model.local_learning.auxiliary.head'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
    'local FPN': dict(),
    'with an SLM': dict(options=[f'{neck}.type=mmfba.SLMFPN']),
    'heads of one conv': dict(options=[f'{head}.stacked_convs=1']),
    'full heads': dict(
        options=[f'{head}.mode=copy', f'{neck}.out_channels=64']
    ),
}
del name, neck, head
