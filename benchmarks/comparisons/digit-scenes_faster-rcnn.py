# A two-stage detector: BP and FBA.
metric = 'coco/bbox_mAP'
shape = (128, 128)
name = 'faster-rcnn_r18-w32_fpn_1xb8-6e_digit-scenes'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
}
del name
