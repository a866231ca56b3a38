# What the bank does in super-resolution: its fusion, and SLM, bank or both.
#
# The timing has no arm: the bank holds the first conv's map, which is there
# before any auxiliary network runs, so that two_pass gives the same features.
# The bank alone is fused as the long skip of the main network is, by addition.
_base_ = './_base_/photographs_small.py'
config = 'configs/fba/fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
neck = 'model.local_learning.auxiliary.neck'
arms = {
    'BP': dict(config='configs/bp/edsr_x2c64b16_1xb16-2k_photographs.py'),
    'SLM': dict(options=[f'{neck}.fusion=none']),
    'bank, add': dict(options=[f'{neck}.blocks_per_stage=0']),
    'FBA (both, add)': dict(options=[f'{neck}.fusion=add']),
    'both, concat': dict(options=[f'{neck}.fusion=concat']),
    'both, gate': dict(options=[f'{neck}.fusion=gate']),
}
del neck
