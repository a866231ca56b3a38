# BP, FBA and its SLM alone of another family of backbones, with its own
# recipe; and FBA with as many units in each module.
_base_ = './_base_/fashion-mnist_10k.py'
config = 'configs/fba/fba-k4_swin-w32_1xb128-2e_fashion-mnist.py'
arms = {
    'BP': dict(config='configs/bp/swin-w32_1xb128-2e_fashion-mnist.py'),
    'FBA': dict(config=config),
    'FBA (uniform cuts)': dict(
        config=config, options=['model.local_learning.partition=uniform']
    ),
    'SLM only': dict(
        config=config,
        options=['model.local_learning.auxiliary.neck.fusion=none'],
    ),
}
del config
