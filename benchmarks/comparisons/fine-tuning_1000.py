# 1,000 images, 500 steps.
_base_ = './_base_/fine-tuning.py'
options = [
    'train_dataloader.dataset.indices=1000',
    'train_cfg.max_epochs=4',
    'train_cfg.val_interval=4',
    'param_scheduler.1.T_max=4',
]
name = 'retinanet_r18-w32-pretrained_fpn_1xb8-6e_digit-scenes'
auxiliary = 'model.local_learning.auxiliary'
arms = {
    'local FPN, 64 channels': dict(
        config=f'configs/local_fpn/local-fpn-k4_{name}.py',
        options=[f'{auxiliary}.neck.out_channels=64'],
    ),
    'local FPN, shared head': dict(
        config=f'configs/local_fpn/local-fpn-k4_{name}.py',
        options=[
            f'{auxiliary}.neck.out_channels=64',
            f'{auxiliary}.head.mode=shared',
        ],
    ),
    'BP, 3 stages frozen': dict(
        config=f'configs/bp/{name}.py',
        options=['model.backbone.frozen_stages=3'],
    ),
}
del name, auxiliary
