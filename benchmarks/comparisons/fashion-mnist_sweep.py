# What the bank does in classification: its timing, its fusion, and SLM, bank
# or both; and other SLMs.
#
# Most of the bank's arms have the paper's loss weight of 1: with 4, which is
# best for the SLM alone, adding or concatenating it diverges; gated, as FBA
# has it here, it does not. SLM alone with two_pass is no arm: the bank is not
# read.
_base_ = './_base_/fashion-mnist_10k.py'
config = 'configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
local = 'model.local_learning'
neck = f'{local}.auxiliary.neck'
one = f'{local}.loss_weight=1.0'
two_pass = f'{local}.timing=two_pass'
add = f'{neck}.fusion=add'
concat = f'{neck}.fusion=concat'
gate = f'{neck}.fusion=gate'
none = f'{neck}.fusion=none'
half = f'{neck}.channel_ratio=0.5'
no_slm = [f'{neck}.mode=stage_tail', f'{neck}.blocks_per_stage=0']
arms = {
    'BP': dict(options=['model.local_learning.num_modules=1']),
    'FBA (weight 4, both, causal, gate)': dict(),
    'SLM': dict(options=[none]),
    'SLM, half as wide': dict(options=[none, half]),
    'SLM, weight 1': dict(options=[none, one]),
    'bank, causal, add': dict(options=[one, add, *no_slm]),
    'bank, causal, concat': dict(options=[one, concat, *no_slm]),
    'bank, causal, gate': dict(options=[one, gate, *no_slm]),
    'bank, two_pass, add': dict(options=[one, add, *no_slm, two_pass]),
    'bank, two_pass, concat': dict(options=[one, concat, *no_slm, two_pass]),
    'bank, two_pass, gate': dict(options=[one, gate, *no_slm, two_pass]),
    'both, causal, add': dict(options=[one, add]),
    'both, causal, concat': dict(options=[one, concat]),
    'both, causal, gate': dict(options=[one, gate]),
    'both, two_pass, add': dict(options=[one, add, two_pass]),
    'both, two_pass, concat': dict(options=[one, concat, two_pass]),
    'both, two_pass, gate': dict(options=[one, gate, two_pass]),
    'weight 4, both, causal, gate, half as wide': dict(options=[gate, half]),
    'weight 4, both, two_pass, gate, half as wide': dict(
        options=[gate, two_pass, half]
    ),
    'SLM, stage_chain': dict(options=[none, f'{neck}.mode=stage_chain']),
    'SLM, stage_tail': dict(options=[none, f'{neck}.mode=stage_tail']),
}
del local, neck, one, two_pass, add, concat, gate, none, half, no_slm
