# What the bank does in detection: its timing, its fusion, and SLM, bank or
# both. Cuts at the ends of stages, slim heads.
#
# Left out, because they are the same as another arm or train nothing else:
# - SLM alone with two_pass: the bank is not read, so that is an error.
# - causal with concat or gate: a level that the bank holds by then is none
#   that the SLM makes, so that nothing is fused.
# - mode=later_stages: at the ends of stages it is the default, stage_chain.
# - the bank alone with concat or gate: the level of the cut is its own, all
#   others are the bank's, so that nothing is fused.
#
# With the bank alone the first module reads nothing: the FPN does not read the
# stage that it ends.
metric = 'coco/bbox_mAP'
shape = (128, 128)
config = 'configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
local = 'model.local_learning'
neck = f'{local}.auxiliary.neck'
fpn = [f'{local}.partition=stage', f'{neck}.type=mmfba.SLMFPN']
two_pass = f'{local}.timing=two_pass'
tail = f'{neck}.mode=stage_tail'
no_slm = [tail, f'{neck}.blocks_per_stage=0']
arms = {
    'BP': dict(
        config='configs/bp/retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
    ),
    'neither': dict(options=[*fpn, *no_slm, f'{neck}.fusion=none']),
    'SLM': dict(options=[*fpn, f'{neck}.fusion=none']),
    'bank, causal': dict(options=[*fpn, *no_slm]),
    'bank, two_pass': dict(options=[*fpn, *no_slm, two_pass]),
    'FBA (both, causal)': dict(options=[*fpn]),
    'both, two_pass, add': dict(options=[*fpn, two_pass]),
    'both, two_pass, concat': dict(
        options=[*fpn, two_pass, f'{neck}.fusion=concat']
    ),
    'both, two_pass, gate': dict(
        options=[*fpn, two_pass, f'{neck}.fusion=gate']
    ),
    # S1's SLM, a block of the cut's own stage, as that of the others is S2's.
    'both, causal, stage_tail': dict(options=[*fpn, tail]),
}
del local, neck, fpn, two_pass, tail, no_slm
