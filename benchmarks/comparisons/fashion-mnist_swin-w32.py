# BP, FBA and its SLM alone of another family of backbones, with its own
# recipe; and FBA with a shallower SLM.
_base_ = './_base_/fashion-mnist_10k.py'
config = 'configs/fba/fba-k4_swin-w32_1xb128-2e_fashion-mnist.py'
neck = 'model.local_learning.auxiliary.neck.'
arms = {
    'BP': dict(config='configs/bp/swin-w32_1xb128-2e_fashion-mnist.py'),
    'FBA': dict(config=config),
    'SLM only': dict(
        config=config,
        options=[neck + 'fusion=none'],
    ),
    'FBA (1 block a stage)': dict(
        config=config, options=[neck + 'blocks_per_stage=1']
    ),
}
del config, neck
