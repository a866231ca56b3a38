# There is no earlier cut: the bank has the end of a stage.
_base_ = './fba-k4_resnet101_8xb32-90e_in1k.py'
taps = ['layer1.2.pooled']
model = dict(local_learning=dict(num_modules=2, taps=taps))
del taps
