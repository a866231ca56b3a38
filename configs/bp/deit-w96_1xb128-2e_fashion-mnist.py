# A small DeiT without distillation: patches of four pixels, eight blocks.
_base_ = 'resnet32_1xb128-2e_fashion-mnist.py'
model = dict(
    backbone=dict(
        _delete_=True,
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
    neck=None,
    head=dict(type='VisionTransformerClsHead', in_channels=96),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05)
)
