_base_ = './fba-k4_resnet101_8xb32-90e_in1k.py'
model = dict(local_learning=dict(num_modules=34))
