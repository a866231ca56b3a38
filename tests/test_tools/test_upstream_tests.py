# Copyright (c) mmfba authors.
"""tools/upstream_tests.py on a folder that stands for upstream's."""

import pytest
import yaml
from run_tool import load_tool

TESTS = """
import subprocess, sys
from mmengine.hooks import SyncBuffersHook
from mmengine.registry import HOOKS


def test_exchanged_where_it_is_imported():
    assert SyncBuffersHook.__name__ == 'SyncBuffersHook'


def test_exchanged_where_it_is_registered():
    assert HOOKS.get('SyncBuffersHook').__name__ == 'SyncBuffersHook'


def test_exchanged_in_processes_that_a_test_starts():
    code = 'from mmengine.hooks import SyncBuffersHook as S; print(S.__name__)'
    name = subprocess.check_output([sys.executable, '-c', code], text=True)
    assert name.strip() == 'SyncBuffersHook'


def test_fails_with_both():
    assert False


def test_passes_with_both():
    pass
"""


@pytest.fixture(scope='module')
def tool():
    return load_tool('upstream_tests')


@pytest.mark.slow
def test_what_fails_with_ours_alone(tool, tmp_path):
    (tmp_path / 'test_it.py').write_text(TESTS)
    hooks = 'mmengine.hooks'  # any two classes do
    swaps = {f'{hooks}.EmptyCacheHook': [f'{hooks}.SyncBuffersHook']}
    passed, failed = tool.run(tmp_path, 'mmengine', ['test_it.py'], swaps)
    assert passed == 1 and len(failed) == 3
    for name, error in failed.items():
        assert name.startswith('test_it.test_exchanged'), name
        assert "'EmptyCacheHook'" in error


def test_judges_exactly(tool):
    expected = [dict(reason='r', error='refused', tests=['a', 'b'])]
    found = dict(a='ValueError: refused', b='TypeError: refused: x')
    assert tool.judge(found, expected) == []
    (line,) = tool.judge(dict(found, c='KeyError'), expected)
    assert 'not expected: c: KeyError' == line
    (line,) = tool.judge(dict(found, b='IndexError'), expected)
    assert 'not expected: b: IndexError' == line
    (line,) = tool.judge(dict(a='refused'), expected)
    assert line.endswith('did not fail: b')


def test_the_list_names_what_there_is(tool):
    for library, listed in yaml.safe_load(tool.LIST.read_text()).items():
        pytest.importorskip(library)
        for suite in listed['suites']:
            for ours, theirs in suite['swaps'].items():
                assert all(isinstance(tool.find(p), type) for p in theirs)
                assert ours.startswith('mmfba.') and tool.find(ours)
        entries = listed['differences']
        names = [name for entry in entries for name in entry['tests']]
        assert len(names) == len(set(names))
        assert all(entry['reason'] and entry['error'] for entry in entries)
