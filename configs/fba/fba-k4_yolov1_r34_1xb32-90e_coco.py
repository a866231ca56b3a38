_base_ = '../bp/yolov1_r34_1xb32-90e_coco.py'
model = dict(
    type='mmfba.LocalSingleStageDetector',
    local_learning=dict(num_modules=4, partition='stage'),
)
