_base_ = 'mmdet::pascal_voc/retinanet_r50_fpn_1x_voc0712.py'
model = dict(
    type='mmfba.LocalSingleStageDetector',
    backbone=dict(depth=34, init_cfg=None, frozen_stages=-1, norm_eval=False),
    neck=dict(in_channels=[64, 128, 256, 512]),
    local_learning=dict(num_modules=17),
)
optim_wrapper = dict(
    type='mmfba.LocalLearningOptimWrapper', clip_grad=dict(max_norm=10)
)
default_hooks = dict(feature_bank=dict(type='mmfba.FeatureBankHook'))
val_evaluator = dict(type='mmfba.ClasswiseVOCMetric')
test_evaluator = dict(type='mmfba.ClasswiseVOCMetric')
