_base_ = '../bp/deit-w96_1xb128-2e_fashion-mnist.py'
model = dict(
    type='mmfba.LocalImageClassifier', local_learning=dict(num_modules=4)
)
