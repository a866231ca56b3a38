# A two-stage detector: BP and a local FPN, half as many epochs.
metric = 'coco/bbox_mAP'
shape = (128, 128)
options = [
    'train_cfg.max_epochs=3',
    'train_cfg.val_interval=3',
    'param_scheduler.1.T_max=3',
]
name = 'faster-rcnn_r18-w32_fpn_1xb8-6e_digit-scenes'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'local FPN': dict(config=f'configs/local_fpn/local-fpn-k4_{name}.py'),
}
del name
