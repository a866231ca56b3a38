# Detection with cuts at the ends of stages, where level-matched auxiliary
# networks predict P3, P4, and P5 to P7.
metric = 'coco/bbox_mAP'
shape = (128, 128)
config = 'configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
arms = {
    'BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'FBA': dict(options=['model.local_learning.partition=stage']),
    'FBA, level-matched': dict(
        options=[
            'model.local_learning.partition=stage',
            'model.local_learning.auxiliary.neck.type=mmfba.SLMLevel',
        ]
    ),
}
