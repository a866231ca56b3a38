# Table 4: with the main network's head, which needs its channels.
_base_ = './fba-k17_retinanet_r34_fpn_1xb64-160e_coco.py'
auxiliary = dict(neck=dict(out_channels=256), head=dict(mode='shared'))
model = dict(local_learning=dict(auxiliary=auxiliary))
del auxiliary
