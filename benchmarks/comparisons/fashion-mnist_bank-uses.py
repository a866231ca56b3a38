# Other uses of the bank than mmfba's (benchmarks/bank_uses.py), ResNet-32, by
# images of the training data that were kept back. With PYTHONPATH=. from the
# repository, so that trainings find benchmarks/bank_uses.py.
_base_ = './_base_/fashion-mnist_kept-back.py'
name = 'resnet32_1xb128-2e_fashion-mnist'
config = 'benchmarks/comparisons/_base_/bank-uses_resnet32.py'
fba = f'configs/fba/fba-k4_{name}.py'
local = 'model.local_learning'
neck = f'{local}.auxiliary.neck'
later = f'{neck}.mode=later_stages'
ends = [
    later,
    f'{local}.timing=two_pass',
    f'{local}.taps=[layer2.4,layer3.4]',
    f'{neck}.fusion=none',
    f'{neck}.type=mmfba.StageEndNeck',
]
arms = {
    'BP': dict(
        config=f'configs/fba/fba-k16_{name}.py',
        options=[f'{local}.num_modules=1'],
    ),
    'SLM only': dict(config=fba, options=[f'{neck}.fusion=none']),
    'FBA': dict(config=fba),
    'SLM, last module reads': dict(
        config=fba, options=[f'{local}.taps=[layer1.2.pooled]']
    ),
    'FBA, stage ends': dict(options=ends),
    'FBA, stage ends, half dropped': dict(options=[*ends, f'{neck}.drop=0.5']),
    'FBA, attention': dict(
        options=[
            later,
            f'{local}.taps=[layer1.0,layer1.2]',
            f'{neck}.fusion=none',
            f'{neck}.type=mmfba.AttentionNeck',
        ]
    ),
}
del name, fba, local, neck, later, ends
