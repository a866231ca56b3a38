# Detection with cuts at the ends of stages, where level-matched auxiliary
# networks predict P3, P4, and P5 to P7.
metric = 'coco/bbox_mAP'
shape = (128, 128)
config = 'configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
by_stage = 'model.local_learning.partition=stage'
neck = 'model.local_learning.auxiliary.neck.type'
arms = {
    'BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'FBA': dict(options=[by_stage, f'{neck}=mmfba.SLMFPN']),  # the default
    'FBA, level-matched': dict(options=[by_stage, f'{neck}=mmfba.SLMLevel']),
}
del by_stage, neck
