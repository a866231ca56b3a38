# Classification, ResNet-32 and K=16: BP, FBA, its SLM alone, and peers, each
# in the variant of the FBA paper's table 1 where it is there; AugLocal counts
# K as its authors do, less its depth.
_base_ = './_base_/fashion-mnist_10k.py'
arms = {
    'BP': dict(
        config='configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py',
        options=['model.local_learning.num_modules=1'],
    ),
    'FBA': dict(
        config='configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
    ),
    'SLM only': dict(
        config='configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py',
        options=['model.local_learning.auxiliary.neck.fusion=none'],
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
