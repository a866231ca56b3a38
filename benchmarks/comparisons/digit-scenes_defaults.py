# Detection: what the auxiliary networks of the default cost in accuracy, and
# what those with an SLM and other heads do.
metric = 'coco/bbox_mAP'
shape = (128, 128)
config = 'configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
neck = 'model.local_learning.auxiliary.neck'
head = 'model.local_learning.auxiliary.head'
arms = {
    'BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'FBA': dict(),
    'with an SLM': dict(options=[f'{neck}.type=mmfba.SLMFPN']),
    'heads of one conv': dict(options=[f'{head}.stacked_convs=1']),
    'full heads': dict(
        options=[f'{head}.mode=copy', f'{neck}.out_channels=64']
    ),
}
del neck, head
