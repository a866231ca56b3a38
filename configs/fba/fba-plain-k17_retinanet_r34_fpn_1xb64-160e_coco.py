# Table 4: plain auxiliary networks, DGL's, with the main network's head.
_base_ = './fba-shared-head-k17_retinanet_r34_fpn_1xb64-160e_coco.py'
neck = dict(_delete_=True, type='mmfba.DGLFPN', out_channels=256)
model = dict(local_learning=dict(auxiliary=dict(neck=neck)))
del neck
