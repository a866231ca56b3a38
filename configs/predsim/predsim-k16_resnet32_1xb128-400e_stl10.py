_base_ = '../bp/resnet32_1xb128-400e_stl10.py'
model = dict(
    type='mmfba.LocalImageClassifier',
    local_learning=dict(
        num_modules=16,
        auxiliary=dict(
            type='mmfba.PredSimAuxiliary',
            input_shape=(96, 96),
            dim_in_decoder=512,
        ),
    ),
)
