# Classification, ResNet-32 and K=16: BP, FBA and its peers, each in the
# variant of the FBA paper's table 1 where it is there; AugLocal counts K as
# its authors do, less its depth. 10,000 images, 6 epochs, in bfloat16, which
# halves the time on a CPU; mmengine's wrapper does not run there, so BP is
# K=1, which is the same.
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
arms = {
    'BP': dict(
        config='configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py',
        options=['model.local_learning.num_modules=1'],
    ),
    'FBA': dict(
        config='configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
    'AugLocal': dict(
        config='configs/auglocal/auglocal-d2-k14_resnet32_1xb128-2e_fashion-mnist.py'
    ),
    'MAN-DGL': dict(
        config='configs/man/man-dgl-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
    'InfoPro': dict(
        config='configs/infopro/infopro-ce-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
    'DGL': dict(
        config='configs/dgl/dgl-auglocal-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
    'PredSim': dict(
        config='configs/predsim/predsim-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
    'greedy': dict(
        config='configs/greedy/greedy-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
}
