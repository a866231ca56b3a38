# BP, FBA and its SLM alone of another family of backbones, with its own
# recipe; and FBA with the cuts that BalancedPartition finds.
_base_ = './_base_/fashion-mnist_10k.py'
arms = {
    'BP': dict(config='configs/bp/swin-w32_1xb128-2e_fashion-mnist.py'),
    'FBA': dict(
        config='configs/fba/fba-k4_swin-w32_1xb128-2e_fashion-mnist.py'
    ),
    'FBA (cuts of least peak)': dict(
        config='configs/fba/fba-k4_swin-w32_1xb128-2e_fashion-mnist.py',
        options=[
            'model.local_learning.partition='
            "['stages.0.blocks.0','stages.0.downsample','stages.1.downsample']"
        ],
    ),
    'SLM only': dict(
        config='configs/fba/fba-k4_swin-w32_1xb128-2e_fashion-mnist.py',
        options=['model.local_learning.auxiliary.neck.fusion=none'],
    ),
}
