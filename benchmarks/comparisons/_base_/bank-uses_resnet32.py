# The FBA of ResNet-32, K=4, with the necks of benchmarks/bank_uses.py at hand.
_base_ = '../../../configs/fba/fba-k4_resnet32_1xb128-2e_fashion-mnist.py'
custom_imports = dict(
    imports=['benchmarks.bank_uses'], allow_failed_imports=False
)
