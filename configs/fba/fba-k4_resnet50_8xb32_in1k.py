_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
model = dict(
    type='mmfba.LocalImageClassifier', local_learning=dict(num_modules=4)
)
