# Detection: BP, FBA and its peers. MAN++ cuts at the ends of stages, as its
# level-matched auxiliary networks need; FBA and DGL cut earlier.
metric = 'coco/bbox_mAP'
shape = (128, 128)
arms = {
    'BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'FBA': dict(
        config='configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'DGL': dict(
        config='configs/dgl/dgl-fpn-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'MAN++': dict(
        config='configs/man/man-level-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
}
