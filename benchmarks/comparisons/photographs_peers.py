# Super-resolution x2 of a small EDSR: BP, FBA and greedy learning.
_base_ = './_base_/photographs_small.py'
arms = {
    'BP': dict(config='configs/bp/edsr_x2c64b16_1xb16-2k_photographs.py'),
    'FBA': dict(
        config='configs/fba/fba-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
    ),
    'greedy': dict(
        config='configs/greedy/greedy-k4_edsr_x2c64b16_1xb16-2k_photographs.py'
    ),
}
