# Table 4: without the shared head.
_base_ = './fba-s2-k17_retinanet_r34_fpn_1xb64-160e_coco.py'
model = dict(local_learning=dict(auxiliary=dict(head=dict(mode='copy'))))
