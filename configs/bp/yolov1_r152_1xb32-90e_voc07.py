_base_ = './yolov1_r50_1xb32-90e_voc07.py'
model = dict(backbone=dict(depth=152))
