# Copyright (c) mmfba authors.
import subprocess
import sys

import pytest

SCRIPT = """
import sys
missing = sys.argv[1].split(',')

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in missing:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from mmfba.registry import DATASETS, METRICS, MODELS
for registry, name in (
    (MODELS, 'LocalImageClassifier'),
    (MODELS, 'LocalSingleStageDetector'),
    (MODELS, 'LocalEditModel'),
    (DATASETS, 'SVHN'),
    (METRICS, 'ClasswiseVOCMetric'),
):
    try:
        registry.build(dict(type='mmfba.' + name))
    except Exception as error:
        print(name, type(error).__name__, error)
assert not set(missing) & set(sys.modules)
"""


PARTS = dict(
    mmdet=('LocalSingleStageDetector', 'ClasswiseVOCMetric'),
    mmpretrain=('LocalImageClassifier', 'SVHN'),
    mmagic=('LocalEditModel',),
)


@pytest.mark.parametrize(
    'missing',
    [
        'mmdet,mmagic',
        pytest.param('mmpretrain,mmagic', marks=pytest.mark.slow),
    ],
)
def test_works_without_the_libraries_of_other_tasks(missing):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', SCRIPT, missing],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    refused = [line for line in done.stdout.splitlines() if 'Import' in line]
    assert sorted(refused) == [
        f"{name} ImportError type='mmfba.{name}' "
        + _reason(name, library, missing.split(','))
        for name, library in sorted(
            (name, library)
            for library in missing.split(',')
            for name in PARTS[library]
        )
    ]


def _reason(name, library, missing):
    if name == 'LocalSingleStageDetector':  # it could be of either
        return (
            'needs a library with a model SingleStageDetector, and '
            f'{" and ".join(missing)} are not installed: pip install '
            f'{" or ".join(missing)}'
        )
    return f'needs {library}, which is not installed: pip install {library}'
