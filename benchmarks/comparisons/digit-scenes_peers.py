# Detection: BP, FBA, the recommended local FPN, and peers. FBA and MAN++ cut
# at the ends of stages, where their auxiliary networks have the levels of the
# pyramid; the local FPN and DGL cut earlier.
metric = 'coco/bbox_mAP'
shape = (128, 128)
arms = {
    'BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'FBA': dict(
        config='configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'local FPN': dict(
        config='configs/local_fpn/local-fpn-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'DGL': dict(
        config='configs/dgl/dgl-fpn-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'MAN++': dict(
        config='configs/man/man-level-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
}
