_base_ = [
    './local-fpn-k4_retinanet_r50_fpn_1x_coco.py',
    '../_base_/recipes/lean.py',
]
model = _base_.lean.detection
