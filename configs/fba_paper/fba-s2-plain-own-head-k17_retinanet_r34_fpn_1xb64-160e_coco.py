# Table 4: plain auxiliary networks, DGL's, with heads of their own.
_base_ = './fba-s2-plain-k17_retinanet_r34_fpn_1xb64-160e_coco.py'
model = dict(local_learning=dict(auxiliary=dict(head=dict(mode='copy'))))
