# Number of modules, super-resolution: FBA with its default cuts, by memory.
_base_ = './_base_/photographs_small.py'
config = 'configs/fba/fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
local = 'model.local_learning'
arms = {
    'BP': dict(config='configs/bp/edsr_x2c64b16_1xb16-2k_photographs.py'),
    'FBA (K=2)': dict(options=[f'{local}.num_modules=2']),
    'FBA (K=3)': dict(options=[f'{local}.num_modules=3']),
    'FBA (K=4)': dict(),
}
del local
