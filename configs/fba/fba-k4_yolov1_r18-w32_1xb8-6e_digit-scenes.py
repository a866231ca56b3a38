_base_ = '../bp/yolov1_r18-w32_1xb8-6e_digit-scenes.py'
model = dict(
    type='mmfba.LocalSingleStageDetector',
    local_learning=dict(num_modules=4, partition='uniform'),
)
