_base_ = '../bp/resnet32_1xb128-2e_fashion-mnist.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        # The authors' count: K is the number of units less d.
        partition=dict(type='mmfba.JointTailPartition'),
        auxiliary=dict(type='mmfba.AugLocalAuxiliary', depth=2, tau=0.5),
    ),
)
