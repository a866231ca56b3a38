_base_ = '../bp/yolov1_r101_1xb32-90e_coco.py'
model = dict(
    type='mmfba.LocalSingleStageDetector', local_learning=dict(num_modules=4)
)
optim_wrapper = dict(type='mmfba.LocalLearningOptimWrapper')
default_hooks = dict(feature_bank=dict(type='mmfba.FeatureBankHook'))
