# BP and FBA of YOLOv1.
metric = 'coco/bbox_mAP_50'
shape = (128, 128)
arms = {
    'BP': dict(config='configs/bp/yolov1_r18-w32_1xb8-6e_digit-scenes.py'),
    'FBA': dict(
        config='configs/fba/fba-k4_yolov1_r18-w32_1xb8-6e_digit-scenes.py'
    ),
}
