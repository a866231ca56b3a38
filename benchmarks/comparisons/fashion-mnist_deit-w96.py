# BP, FBA and its SLM alone of another family of backbones, with its own
# recipe.
_base_ = './_base_/fashion-mnist_10k.py'
arms = {
    'BP': dict(config='configs/bp/deit-w96_1xb128-2e_fashion-mnist.py'),
    'FBA': dict(
        config='configs/fba/fba-k4_deit-w96_1xb128-2e_fashion-mnist.py'
    ),
    'SLM only': dict(
        config='configs/fba/fba-k4_deit-w96_1xb128-2e_fashion-mnist.py',
        options=['model.local_learning.auxiliary.neck.fusion=none'],
    ),
}
