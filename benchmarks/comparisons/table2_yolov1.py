# The costs of table 2 of the paper: YOLOv1 on VOC.
metric = 'pascal_voc/mAP'
shape = (448, 448)
configs = [
    'bp/yolov1_r34_1xb32-90e_voc07',
    'fba/fba-k17_yolov1_r34_1xb32-90e_voc07',
    'bp/yolov1_r50_1xb32-90e_voc07',
    'fba/fba-k17_yolov1_r50_1xb32-90e_voc07',
    'bp/yolov1_r101_1xb32-90e_voc07',
    'fba/fba-k34_yolov1_r101_1xb32-90e_voc07',
    'bp/yolov1_r152_1xb32-90e_voc07',
    'fba/fba-k51_yolov1_r152_1xb32-90e_voc07',
]
configs += [
    *(f'{path}12' for path in configs),  # 07+12
    *(path.replace('90e', '160e') for path in configs),
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
