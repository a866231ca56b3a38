# The bank has ends of stages: projections of all earlier cuts would have a
# billion weights.
_base_ = './fba-k4_resnet101_8xb32-90e_in1k.py'
taps = ['layer1.2.pooled', 'layer2.3.pooled', 'layer3.22.pooled']
model = dict(local_learning=dict(num_modules=34, taps=taps))
del taps
