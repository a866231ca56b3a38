_base_ = './fba-k51_yolov1_r152_1xb32-90e_voc07.py'
train_dataloader = dict(dataset=dict(dataset=dict(datasets=_base_.voc0712)))
