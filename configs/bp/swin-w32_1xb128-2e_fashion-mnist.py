# A small Swin: patches of two pixels, three stages.
_base_ = 'resnet32_1xb128-2e_fashion-mnist.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        arch=dict(embed_dims=32, depths=[2, 2, 4], num_heads=[1, 2, 4]),
        img_size=32,
        patch_size=2,
        in_channels=1,
        window_size=4,
        drop_path_rate=0.0,
        out_indices=(2,),
    ),
    head=dict(in_channels=128),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.05)
)
