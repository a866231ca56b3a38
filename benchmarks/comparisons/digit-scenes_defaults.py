# Detection: what slim auxiliary networks, the default, cost in accuracy, and
# what level-matched ones and those without an SLM do.
metric = 'coco/bbox_mAP'
shape = (128, 128)
config = 'configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
arms = {
    'BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'FBA': dict(),
    'FBA, level-matched': dict(
        options=['model.local_learning.auxiliary.neck.type=mmfba.SLMLevel']
    ),
    'FBA, bank alone': dict(
        options=[
            'model.local_learning.auxiliary.neck.mode=stage_tail',
            'model.local_learning.auxiliary.neck.blocks_per_stage=0',
        ]
    ),
    'FBA, full heads': dict(
        options=[
            'model.local_learning.auxiliary.head.mode=copy',
            'model.local_learning.auxiliary.neck.out_channels=64',
        ]
    ),
}
