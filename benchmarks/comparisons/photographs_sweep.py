# What the bank does in super-resolution: its fusion, and SLM, bank or both.
#
# The timing has no arm: the bank holds the first conv's map, which is there
# before any auxiliary network runs, so that two_pass gives the same features.
_base_ = './_base_/photographs_small.py'
config = 'configs/fba/fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
neck = 'model.local_learning.auxiliary.neck'
cuts = ['model.local_learning.partition=uniform']
no_slm = [*cuts, f'{neck}.blocks_per_stage=0']
arms = {
    'BP': dict(config='configs/bp/edsr_x2c64b16_1xb16-2k_photographs.py'),
    'SLM': dict(options=[*cuts, f'{neck}.fusion=none']),
    'bank, add': dict(options=no_slm),
    'bank, concat': dict(options=[*no_slm, f'{neck}.fusion=concat']),
    'bank, gate': dict(options=[*no_slm, f'{neck}.fusion=gate']),
    'FBA (both, add)': dict(options=cuts),
    'both, concat': dict(options=[*cuts, f'{neck}.fusion=concat']),
    'both, gate': dict(options=[*cuts, f'{neck}.fusion=gate']),
}
del neck, cuts, no_slm
