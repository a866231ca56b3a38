# The costs of table 1 of the paper: STL-10.
metric = 'accuracy/top1'
shape = (96, 96)
configs = [
    'bp/resnet32_1xb128-400e_stl10',
    'fba/fba-k16_resnet32_1xb128-400e_stl10',
    'fba_paper/fba-s1-k16_resnet32_1xb128-400e_stl10',
    'fba_paper/fba-s2-k16_resnet32_1xb128-400e_stl10',
    'auglocal/auglocal-d2-k14_resnet32_1xb128-400e_stl10',
    'dgl/dgl-auglocal-k16_resnet32_1xb128-400e_stl10',
    'infopro/infopro-ce-k16_resnet32_1xb128-400e_stl10',
    'predsim/predsim-k16_resnet32_1xb128-400e_stl10',
    'auglocal/auglocal-d2-k16_resnet32_1xb128-400e_stl10',
    'dgl/dgl-original-k16_resnet32_1xb128-400e_stl10',
    'greedy/greedy-k16_resnet32_1xb128-400e_stl10',
    'infopro/infopro-contrast-k16_resnet32_1xb128-400e_stl10',
    'man/man-dgl-k16_resnet32_1xb128-400e_stl10',
    'man/man-infopro-k16_resnet32_1xb128-400e_stl10',
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
