_base_ = './fba-k17_yolov1_r50_1xb32-90e_voc07.py'
train_dataloader = dict(dataset=dict(dataset=dict(datasets=_base_.voc0712)))
