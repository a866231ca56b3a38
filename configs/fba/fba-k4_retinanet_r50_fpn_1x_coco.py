_base_ = [
    '../local_fpn/local-fpn-k4_retinanet_r50_fpn_1x_coco.py',
    '../_base_/recipes/fba.py',
]
model = dict(local_learning=_base_.fba)
