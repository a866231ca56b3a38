# The costs of table 1 of the paper: CIFAR-10, and the same for SVHN.
metric = 'accuracy/top1'
shape = (32, 32)
configs = [
    'bp/resnet32_1xb1024-400e_cifar10',
    'fba/fba-k16_resnet32_1xb1024-400e_cifar10',
    'fba_paper/fba-s1-k16_resnet32_1xb1024-400e_cifar10',
    'fba_paper/fba-s2-k16_resnet32_1xb1024-400e_cifar10',
    'auglocal/auglocal-d2-k14_resnet32_1xb1024-400e_cifar10',
    'dgl/dgl-auglocal-k16_resnet32_1xb1024-400e_cifar10',
    'infopro/infopro-ce-k16_resnet32_1xb1024-400e_cifar10',
    'predsim/predsim-k16_resnet32_1xb1024-400e_cifar10',
    'auglocal/auglocal-d2-k16_resnet32_1xb1024-400e_cifar10',
    'dgl/dgl-original-k16_resnet32_1xb1024-400e_cifar10',
    'greedy/greedy-k16_resnet32_1xb1024-400e_cifar10',
    'infopro/infopro-contrast-k16_resnet32_1xb1024-400e_cifar10',
    'man/man-dgl-k16_resnet32_1xb1024-400e_cifar10',
    'man/man-infopro-k16_resnet32_1xb1024-400e_cifar10',
    'bp/resnet32_1xb1024-400e_svhn',
    'fba/fba-k16_resnet32_1xb1024-400e_svhn',
    'fba_paper/fba-s1-k16_resnet32_1xb1024-400e_svhn',
    'fba_paper/fba-s2-k16_resnet32_1xb1024-400e_svhn',
    'auglocal/auglocal-d2-k14_resnet32_1xb1024-400e_svhn',
    'dgl/dgl-auglocal-k16_resnet32_1xb1024-400e_svhn',
    'infopro/infopro-ce-k16_resnet32_1xb1024-400e_svhn',
    'predsim/predsim-k16_resnet32_1xb1024-400e_svhn',
    'auglocal/auglocal-d2-k16_resnet32_1xb1024-400e_svhn',
    'dgl/dgl-original-k16_resnet32_1xb1024-400e_svhn',
    'greedy/greedy-k16_resnet32_1xb1024-400e_svhn',
    'infopro/infopro-contrast-k16_resnet32_1xb1024-400e_svhn',
    'man/man-dgl-k16_resnet32_1xb1024-400e_svhn',
    'man/man-infopro-k16_resnet32_1xb1024-400e_svhn',
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs
