# What the bank does in classification: its timing, its fusion, and SLM, bank
# or both; and other SLMs.
#
# Of the valid combinations, those that differ in one thing from
# 'both, causal, add'. SLM alone with two_pass is none: the bank is not read.
_base_ = './_base_/fashion-mnist_10k.py'
config = 'configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'
local = 'model.local_learning'
neck = f'{local}.auxiliary.neck'
two_pass = f'{local}.timing=two_pass'
no_slm = [f'{neck}.mode=stage_tail', f'{neck}.blocks_per_stage=0']
arms = {
    'BP': dict(options=['model.local_learning.num_modules=1']),
    'SLM': dict(),  # the default
    'SLM, half as wide': dict(options=[f'{neck}.channel_ratio=0.5']),
    'SLM, stage_chain': dict(options=[f'{neck}.mode=stage_chain']),
    'SLM, stage_tail': dict(options=[f'{neck}.mode=stage_tail']),
    'bank, causal, add': dict(options=[*no_slm, f'{neck}.fusion=add']),
    'bank, two_pass, add': dict(
        options=[*no_slm, two_pass, f'{neck}.fusion=add']
    ),
    'both, causal, add': dict(options=[f'{neck}.fusion=add']),
    'both, causal, concat': dict(options=[f'{neck}.fusion=concat']),
    'both, causal, gate': dict(options=[f'{neck}.fusion=gate']),
    'both, two_pass, add': dict(options=[two_pass, f'{neck}.fusion=add']),
}
del local, neck, two_pass, no_slm
