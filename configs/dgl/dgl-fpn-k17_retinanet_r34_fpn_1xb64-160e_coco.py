_base_ = '../fba/fba-k17_retinanet_r34_fpn_1xb64-160e_coco.py'
neck = dict(_delete_=True, type='mmfba.DGLFPN')
model = dict(local_learning=dict(auxiliary=dict(neck=neck)))
del neck
