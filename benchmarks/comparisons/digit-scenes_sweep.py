# What the bank does in detection: its timing, its fusion, and SLM, bank or
# both. Cuts at the ends of stages, slim heads.
#
# Left out, because they are the same as another arm or train nothing else:
# - SLM alone with two_pass: the bank is not read, so that is an error.
# - causal with concat or gate: a level that the bank holds by then is none
#   that the SLM makes, so that nothing is fused.
# - mode=later_stages: at the ends of stages it is stage_chain.
# - the bank alone with concat or gate: the level of the cut is its own, all
#   others are the bank's, so that nothing is fused.
#
# With the bank alone the first module reads nothing: the FPN does not read the
# stage that it ends.
metric = 'coco/bbox_mAP'
shape = (128, 128)
name = 'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes'
config = f'configs/local_fpn/local-fpn-k4_{name}.py'
local = 'model.local_learning'
neck = f'{local}.auxiliary.neck'
bank = [f'{local}.partition=stage']
both = [*bank, f'{neck}.type=mmfba.SLMFPN']
two_pass = f'{local}.timing=two_pass'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'neither': dict(options=[*bank, f'{neck}.fusion=none']),
    'SLM': dict(options=[*both, f'{neck}.fusion=none']),
    'bank, causal': dict(options=bank),
    'bank, two_pass': dict(options=[*bank, two_pass]),
    'both, causal': dict(options=both),
    'both, two_pass, add': dict(options=[*both, two_pass]),
    'both, two_pass, concat': dict(
        options=[*both, two_pass, f'{neck}.fusion=concat']
    ),
    'both, two_pass, gate': dict(
        options=[*both, two_pass, f'{neck}.fusion=gate']
    ),
    # S1's SLM, a block of the cut's own stage, as that of the others is S2's.
    'FBA (both, causal, stage_tail)': dict(
        config=f'configs/fba/fba-k4_{name}.py'
    ),
    # It also reads the levels that the main FPN makes of a first pass
    # (benchmarks/pyramid_use.py): run it with PYTHONPATH=.
    "FBA (both, main FPN's levels for half of the images)": dict(
        config='benchmarks/comparisons/_base_/pyramid_use.py',
        options=[
            two_pass,
            f'{neck}.type=mmfba.CrossScaleNeck',
            f'{neck}.mode=stage_tail',
        ],
    ),
}
del name, local, neck, bank, both, two_pass
