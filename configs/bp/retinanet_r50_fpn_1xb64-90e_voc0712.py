_base_ = './retinanet_r50_fpn_1xb64-90e_voc07.py'
train_dataloader = dict(dataset=dict(dataset=dict(datasets=_base_.voc0712)))
