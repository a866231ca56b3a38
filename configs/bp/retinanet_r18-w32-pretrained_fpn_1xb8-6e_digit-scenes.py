# Fine-tuned as stock detectors are: a pretrained backbone, whose first stages
# are frozen and whose batch normalisation is in eval mode. The weights:
# python tools/train.py configs/bp/resnet18-w32_1xb128-2e_fashion-mnist.py
_base_ = './retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(
    backbone=dict(
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/resnet18-w32_1xb128-2e_fashion-mnist/'
            'epoch_2.pth',
            prefix='backbone.',
        ),
    )
)
