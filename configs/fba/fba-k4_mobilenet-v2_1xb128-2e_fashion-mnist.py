_base_ = '../bp/mobilenet-v2_1xb128-2e_fashion-mnist.py'
model = dict(
    type='mmfba.LocalImageClassifier', local_learning=dict(num_modules=4)
)
