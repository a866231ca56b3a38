# The body starts from the trained x2 network.
_base_ = '../_base_/datasets/div2k_x4.py'
default_hooks = dict(plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
load_from = 'work_dirs/edsr_x2c64b16_1xb16-300k_div2k/iter_300000.pth'
