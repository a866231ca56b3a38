_base_ = '../bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(
    type='mmfba.LocalSingleStageDetector',
    local_learning=dict(partition=['stem', 'layer1.1', 'layer2.0']),
)
