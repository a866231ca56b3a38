# Super-resolution x2 of a small EDSR: BP, and FBA and greedy learning
# with uniform cuts.
_base_ = './_base_/photographs_small.py'
uniform = ['model.local_learning.partition=uniform']
arms = {
    'BP': dict(config='configs/bp/edsr_x2c64b16_1xb16-2k_photographs.py'),
    'FBA (uniform cuts)': dict(
        config='configs/fba/fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py',
        options=uniform,
    ),
    'greedy': dict(
        config='configs/greedy/greedy-k4_edsr_x2c64b16_1xb16-2k_photographs.py',
        options=uniform,
    ),
}
del uniform
