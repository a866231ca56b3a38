# The costs of table 2 of the paper: RetinaNet on VOC.
metric = 'pascal_voc/mAP'
shape = (320, 320)
configs = [
    'bp/retinanet_r34_fpn_1xb64-90e_voc07',
    'fba/fba-k17_retinanet_r34_fpn_1xb64-90e_voc07',
    'bp/retinanet_r50_fpn_1xb64-90e_voc07',
    'fba/fba-k17_retinanet_r50_fpn_1xb64-90e_voc07',
    'bp/retinanet_r101_fpn_1xb64-90e_voc07',
    'fba/fba-k34_retinanet_r101_fpn_1xb64-90e_voc07',
    'bp/retinanet_r152_fpn_1xb64-90e_voc07',
    'fba/fba-k51_retinanet_r152_fpn_1xb64-90e_voc07',
]
configs += [
    *(f'{path}12' for path in configs),  # 07+12
    *(path.replace('90e', '160e') for path in configs),
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
