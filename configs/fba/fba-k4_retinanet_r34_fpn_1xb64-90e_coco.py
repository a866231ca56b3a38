_base_ = '../bp/retinanet_r34_fpn_1xb64-90e_coco.py'
model = dict(
    type='mmfba.LocalSingleStageDetector', local_learning=dict(num_modules=4)
)
