# 200 images, 300 steps.
_base_ = './_base_/fine-tuning.py'
options = [
    'train_dataloader.dataset.indices=200',
    'train_cfg.max_epochs=12',
    'train_cfg.val_interval=12',
    'param_scheduler.1.T_max=12',
]
