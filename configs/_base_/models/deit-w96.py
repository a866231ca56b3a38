# A small DeiT without distillation: patches of four pixels, eight blocks.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=96,
            num_layers=8,
            num_heads=4,
            feedforward_channels=384,
        ),
        img_size=32,
        patch_size=4,
        in_channels=1,
    ),
    head=dict(
        type='VisionTransformerClsHead',
        num_classes=10,
        in_channels=96,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)
