# ResNet-32, the first 10,000 images of Fashion-MNIST, 6 epochs.
#
# BP is K=1, which is the same and trains in bfloat16 on a CPU as well, where
# mmengine's own wrapper does not run.
metric = 'accuracy/top1'
shape = (32, 32)
options = [
    'train_dataloader.dataset.indices=10000',
    'train_cfg.max_epochs=6',
    'train_cfg.val_interval=6',
    'param_scheduler.1.T_max=6',
]
