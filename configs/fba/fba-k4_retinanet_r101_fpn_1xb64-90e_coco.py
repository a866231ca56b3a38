_base_ = [
    '../bp/retinanet_r101_fpn_1xb64-90e_coco.py',
    '../_base_/recipes/fba.py',
]
model = dict(
    type='mmfba.LocalSingleStageDetector',
    local_learning=dict(_base_.fba, num_modules=4, partition='stage'),
)
