_base_ = '../_base_/datasets/div2k_x2.py'
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
