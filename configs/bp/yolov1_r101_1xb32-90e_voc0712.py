_base_ = './yolov1_r101_1xb32-90e_voc07.py'
train_dataloader = dict(dataset=dict(dataset=dict(datasets=_base_.voc0712)))
