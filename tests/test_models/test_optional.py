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
from mmfba.registry import MODELS
for name in ('LocalImageClassifier', 'LocalSingleStageDetector',
             'LocalEditModel'):
    try:
        MODELS.build(dict(type='mmfba.' + name))
    except Exception as error:
        print(name, type(error).__name__, error)
assert not set(missing) & set(sys.modules)
"""


@pytest.mark.parametrize(
    'missing, names',
    [
        ('mmdet,mmagic', ('LocalSingleStageDetector', 'LocalEditModel')),
        ('mmpretrain,mmagic', ('LocalImageClassifier', 'LocalEditModel')),
    ],
)
def test_works_without_the_libraries_of_other_tasks(missing, names):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', SCRIPT, missing],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for library, name in zip(missing.split(','), names):
        assert (
            f"{name} ImportError type='mmfba.{name}' needs {library}, which "
            f'is not installed: pip install {library}'
        ) in lines
    assert sum('ImportError' in line for line in lines) == 2
