# YOLOv1 on ResNet-50, trained from scratch: 448x448 pixels, 7x7 cells.
model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(3,),
        style='pytorch',
        norm_eval=False,
    ),
    bbox_head=dict(
        type='mmfba.YOLOV1Head',
        num_classes=80,
        in_channels=2048,
        norm_cfg=dict(type='GN', num_groups=32),
    ),
    test_cfg=dict(
        score_thr=0.01,
        nms_pre=1000,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=100,
    ),
)
