# The costs of table 3 of the paper: YOLOv1 on COCO.
metric = 'coco/bbox_mAP'
shape = (448, 448)
configs = [
    'bp/yolov1_r34_1xb32-90e_coco',
    'bp/yolov1_r34_1xb32-160e_coco',
    'fba/fba-k4_yolov1_r34_1xb32-90e_coco',
    'fba_paper/fba-s1-k4_yolov1_r34_1xb32-90e_coco',
    'fba/fba-k17_yolov1_r34_1xb32-160e_coco',
    'fba_paper/fba-s2-k17_yolov1_r34_1xb32-160e_coco',
    'bp/yolov1_r50_1xb32-90e_coco',
    'bp/yolov1_r50_1xb32-160e_coco',
    'fba/fba-k4_yolov1_r50_1xb32-90e_coco',
    'fba_paper/fba-s1-k4_yolov1_r50_1xb32-90e_coco',
    'fba/fba-k17_yolov1_r50_1xb32-160e_coco',
    'fba_paper/fba-s2-k17_yolov1_r50_1xb32-160e_coco',
    'bp/yolov1_r101_1xb32-90e_coco',
    'bp/yolov1_r101_1xb32-160e_coco',
    'fba/fba-k4_yolov1_r101_1xb32-90e_coco',
    'fba_paper/fba-s1-k4_yolov1_r101_1xb32-90e_coco',
    'fba/fba-k34_yolov1_r101_1xb32-160e_coco',
    'fba_paper/fba-s2-k34_yolov1_r101_1xb32-160e_coco',
    'bp/yolov1_r152_1xb32-90e_coco',
    'bp/yolov1_r152_1xb32-160e_coco',
    'fba/fba-k4_yolov1_r152_1xb32-90e_coco',
    'fba_paper/fba-s1-k4_yolov1_r152_1xb32-90e_coco',
    'fba/fba-k51_yolov1_r152_1xb32-160e_coco',
    'fba_paper/fba-s2-k51_yolov1_r152_1xb32-160e_coco',
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
