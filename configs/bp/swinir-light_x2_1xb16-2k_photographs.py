# The lightweight SwinIR x2, with a block less in each group and half as wide.
_base_ = 'edsr_x2c64b16_1xb16-2k_photographs.py'
experiment_name = 'swinir-light_x2_1xb16-2k_photographs'
work_dir = f'./work_dirs/{experiment_name}'
model = dict(
    generator=dict(
        _delete_=True,
        type='SwinIRNet',
        window_size=8,
        depths=[2] * 4,
        embed_dim=32,
        num_heads=[4] * 4,
        mlp_ratio=2,
        upsampler='pixelshuffledirect',
        drop_path_rate=0.0,
    )
)
