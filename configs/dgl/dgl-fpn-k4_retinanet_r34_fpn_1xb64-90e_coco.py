_base_ = '../fba/fba-k4_retinanet_r34_fpn_1xb64-90e_coco.py'
neck = dict(_delete_=True, type='mmfba.DGLFPN')
model = dict(local_learning=dict(auxiliary=dict(neck=neck)))
del neck
