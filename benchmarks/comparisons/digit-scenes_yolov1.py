# BP and FBA of YOLOv1, and the RetinaNet of the same backbone and schedule.
metric = 'coco/bbox_mAP_50'
shape = (128, 128)
arms = {
    'BP': dict(config='configs/bp/yolov1_r18-w32_1xb8-6e_digit-scenes.py'),
    'FBA': dict(
        config='configs/fba/fba-k4_yolov1_r18-w32_1xb8-6e_digit-scenes.py'
    ),
    'RetinaNet, BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
}
