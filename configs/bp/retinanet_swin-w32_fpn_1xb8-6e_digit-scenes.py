# A small Swin in the place of the ResNet-18.
_base_ = 'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        embed_dims=32,
        depths=(2, 2, 4, 2),
        num_heads=(1, 2, 4, 8),
        window_size=4,
        drop_path_rate=0.0,
    )
)
