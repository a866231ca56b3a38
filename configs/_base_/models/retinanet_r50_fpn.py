# mmdet's RetinaNet, trained from scratch.
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
model = dict(backbone=dict(init_cfg=None, frozen_stages=-1, norm_eval=False))
