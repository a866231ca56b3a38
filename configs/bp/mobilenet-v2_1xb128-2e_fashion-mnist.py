# Half as wide. It reads three channels, which the mean of three makes of one.
_base_ = 'resnet32_1xb128-2e_fashion-mnist.py'
data_preprocessor = dict(mean=[72.94] * 3, std=[90.02] * 3)
model = dict(
    backbone=dict(_delete_=True, type='MobileNetV2', widen_factor=0.5),
    head=dict(in_channels=1280),
)
