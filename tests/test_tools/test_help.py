# Copyright (c) mmfba authors.
"""``--help`` of every tool is answered before anything slow is imported."""

import os
import subprocess
import sys

import pytest
from run_tool import ROOT

TOOLS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'tools').rglob('*.py')
    if not path.name.startswith('_')
)
SLOW = {'torch', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'mmagic'}
SECONDS = 2
"""Of the processor: a busy machine does not change them much."""


def _seconds_of_children():
    times = os.times()
    return times.children_user + times.children_system


@pytest.mark.parametrize('tool', TOOLS)
def test_help_needs_neither_torch_nor_the_libraries(tool):
    before = _seconds_of_children()
    done = subprocess.run(
        [sys.executable, '-X', 'importtime', tool, '--help'],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    seconds = _seconds_of_children() - before
    assert done.returncode == 0 and done.stdout.startswith('usage: ')
    lines = [line.split('|')[-1] for line in done.stderr.splitlines()]
    imported = {line.strip().split('.')[0] for line in lines}
    assert 'argparse' in imported and not imported & SLOW
    assert seconds < SECONDS
