# BP and FBA of YOLOv1, its SLM alone, FBA in the recipe of the paper and of
# its earlier version, and the RetinaNet of the same backbone and schedule.
metric = 'coco/bbox_mAP_50'
shape = (128, 128)
name = 'yolov1_r18-w32_1xb8-6e_digit-scenes'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
    'SLM only': dict(
        config=f'configs/fba/fba-k4_{name}.py',
        options=['model.local_learning.auxiliary.neck.fusion=none'],
    ),
    'paper, s1': dict(config=f'configs/fba_paper/fba-s1-k4_{name}.py'),
    'paper, s2': dict(config=f'configs/fba_paper/fba-s2-k4_{name}.py'),
    'RetinaNet, BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
}
del name
