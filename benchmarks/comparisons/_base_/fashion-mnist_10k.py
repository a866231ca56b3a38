# ResNet-32, the first 10,000 images of Fashion-MNIST, 6 epochs, in bfloat16,
# which takes less time on a CPU; mmengine's wrapper does not run there, so BP
# is K=1, which is the same.
metric = 'accuracy/top1'
shape = (32, 32)
options = [
    'train_dataloader.dataset.indices=10000',
    'train_cfg.max_epochs=6',
    'train_cfg.val_interval=6',
    'param_scheduler.1.T_max=6',
    'optim_wrapper.type=mmfba.AmpLocalLearningOptimWrapper',
    'optim_wrapper.dtype=bfloat16',
]
