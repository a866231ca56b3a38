# BP, FBA and its SLM alone of another family of backbones, with its own
# recipe; and FBA with a deeper SLM, and with uniform cuts.
_base_ = './_base_/fashion-mnist_10k.py'
config = 'configs/fba/fba-k4_swin-w32_1xb128-2e_fashion-mnist.py'
arms = {
    'BP': dict(config='configs/bp/swin-w32_1xb128-2e_fashion-mnist.py'),
    'FBA': dict(config=config),
    'FBA (3 blocks a stage)': dict(
        config=config,
        options=['model.local_learning.auxiliary.neck.blocks_per_stage=3'],
    ),
    'FBA (uniform cuts)': dict(
        config=config, options=['model.local_learning.partition=uniform']
    ),
    'SLM only': dict(
        config=config,
        options=['model.local_learning.auxiliary.neck.fusion=none'],
    ),
}
del config
