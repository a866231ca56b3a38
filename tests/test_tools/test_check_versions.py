# Copyright (c) mmfba authors.
import json
import re
import sys

import pytest
import torch
from packaging.requirements import Requirement
from run_tool import ROOT, load_tool

CASES = """
import pytest
def test_passes(): pass
def test_fails(): assert False
def test_skips(): pytest.skip('no such thing')
@pytest.mark.slow
def test_slow(): assert False
@pytest.fixture
def broken(): raise ValueError
def test_broken(broken): pass
"""


def requirements(name):
    lines = (ROOT / f'requirements/{name}.txt').read_text().splitlines()
    found = [Requirement(x) for x in (y.split('#')[0] for y in lines) if x]
    return {req.name: str(req.specifier) for req in found}


def test_oldest_is_what_mmfba_requires_at_least():
    oldest = requirements('versions/oldest')
    for name in ('runtime', 'mminstall'):
        for package, least in requirements(name).items():
            if least:
                assert oldest[package] == least.replace('>=', '=='), package
    python = re.match(
        r'# Python ([\d.]+);',
        (ROOT / 'requirements/versions/oldest.txt').read_text(),
    )
    setup = (ROOT / 'setup.py').read_text()
    assert f"python_requires='>={python[1]}'" in setup


def test_result(tmp_path):
    (tmp_path / 'test_some.py').write_text(CASES)
    argv = ['newest', '--env', sys.prefix, '--out', str(tmp_path)]
    with pytest.raises(SystemExit) as done:
        load_tool('check_versions').main([*argv, str(tmp_path)])
    assert done.value.code == 1
    result = json.loads((tmp_path / 'newest.json').read_text())
    assert [result[x] for x in ('passed', 'failed', 'skipped')] == [1, 2, 1]
    assert result['tests'] == str(tmp_path)
    assert result['skips'] == {'no such thing': 1}
    assert [x.split('::')[1] for x in result['failures']] == [
        'test_broken',
        'test_fails',
    ]
    assert result['torch'] == torch.__version__
    command = f'python tools/check_versions.py newest {tmp_path}'
    assert result['command'] == command
    assert {'numpy', 'torchvision'} <= set(result['packages'])
    assert any(x in result['packages'] for x in ('mmcv', 'onedl-mmcv'))


@pytest.mark.parametrize(
    'python, message',
    [('no-such-python', 'no no-such-python here'), (sys.executable, 'needs')],
)
def test_the_interpreter_is_checked(python, message, tmp_path, monkeypatch):
    tool = load_tool('check_versions')
    monkeypatch.setattr(tool, 'COMBINATIONS', tmp_path)
    (tmp_path / 'other.txt').write_text('# Python 3.1; long ago.\nmmcv==1.0\n')
    with pytest.raises(SystemExit, match=message):
        tool.main(['other', '--python', python])
    assert not (ROOT / 'work_dirs/versions/other').exists()
