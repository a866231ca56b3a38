# The costs of table 1 of the paper: ImageNet.
metric = 'accuracy/top1'
shape = (224, 224)
configs = [
    'bp/resnet101_8xb32-90e_in1k',
    'fba/fba-k2_resnet101_8xb32-90e_in1k',
    'fba_paper/fba-s1-k2_resnet101_8xb32-90e_in1k',
    'fba/fba-k4_resnet101_8xb32-90e_in1k',
    'fba_paper/fba-s1-k4_resnet101_8xb32-90e_in1k',
    'fba/fba-k34_resnet101_8xb32-90e_in1k',
    'fba_paper/fba-s1-k34_resnet101_8xb32-90e_in1k',
    'auglocal/auglocal-d4-k34_resnet101_8xb32-90e_in1k',
    'infopro/infopro-k2_resnet101_8xb32-90e_in1k',
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
