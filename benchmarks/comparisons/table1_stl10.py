# The costs of table 1 of the paper: STL-10.
metric = 'accuracy/top1'
shape = (96, 96)
configs = [
    'bp/resnet32_1xb128-400e_stl10',
    'fba/fba-k16_resnet32_1xb128-400e_stl10',
    'fba_paper/fba-s1-k16_resnet32_1xb128-400e_stl10',
    'fba_paper/fba-s2-k16_resnet32_1xb128-400e_stl10',
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
