_base_ = '../bp/resnet101_8xb32-90e_in1k.py'
model = dict(
    type='mmfba.LocalImageClassifier', local_learning=dict(num_modules=4)
)
