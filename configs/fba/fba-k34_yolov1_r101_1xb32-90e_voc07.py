_base_ = '../bp/yolov1_r101_1xb32-90e_voc07.py'
model = dict(
    type='mmfba.LocalSingleStageDetector', local_learning=dict(num_modules=34)
)
