_base_ = '../bp/retinanet_r34-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(
    type='mmfba.LocalSingleStageDetector', local_learning=dict(num_modules=17)
)
