# 1,000 images, 500 steps.
_base_ = './_base_/fine-tuning.py'
options = [
    'train_dataloader.dataset.indices=1000',
    'train_cfg.max_epochs=4',
    'train_cfg.val_interval=4',
    'param_scheduler.1.T_max=4',
]
