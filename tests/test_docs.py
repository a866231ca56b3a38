# Copyright (c) mmfba authors.
"""Links of all pages lead somewhere; what pages and the notebook run, runs."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from run_tool import ROOT

MARKDOWN = [
    path
    for pattern in (
        '*.md',
        'docs/**/*.md',
        'configs/*/*.md',
        'benchmarks/*.md',
    )
    for path in sorted(ROOT.glob(pattern))
]
BLOCK = re.compile(
    r'<!-- runnable(?:: (\S+))? -->\n+```\w+\n(.*?)^```$', re.M | re.S
)
NOTEBOOKS = sorted(ROOT.glob('docs/notebooks/*.ipynb'))


def name(path):
    return path.relative_to(ROOT).as_posix()


def prose(path):
    return re.sub(r'^ *```.*?^ *```$', '', path.read_text(), flags=re.M | re.S)


def anchors(path):
    """Those that GitHub gives to headings; the site gives the same."""
    headings = re.findall(r'^#+ (.+)', prose(path), re.M)
    words = (re.sub(r'[^\w\- ]', '', x.lower()) for x in headings)
    return {x.replace(' ', '-') for x in words}


@pytest.mark.parametrize('path', MARKDOWN, ids=name)
def test_links_lead_somewhere(path):
    for link in re.findall(r'\]\((?![a-z]+:)([^)\s]+)\)', prose(path)):
        file, _, anchor = link.partition('#')
        target = path.parent / file if file else path
        assert target.exists(), link
        if target.is_dir() and anchor:
            target /= 'README.md'
        assert not anchor or anchor in anchors(target), link


def run(command, folder):
    """Run a command in a folder that is like a clone of this tree."""
    for path in ROOT.iterdir():
        if path.name[0] != '.' and path.name not in ('data', 'work_dirs'):
            (folder / path.name).symlink_to(path)
    weights = folder / 'torch_home/hub/checkpoints/resnet18-f37072fd.pth'
    weights.parent.mkdir(parents=True)
    model = pytest.importorskip('torchvision').models.resnet18()
    torch.save(model.state_dict(), weights)  # what would be downloaded
    bin_dir = os.path.dirname(sys.executable)
    env = dict(
        os.environ,
        CUDA_VISIBLE_DEVICES='',
        MPLBACKEND='agg',
        NOTEBOOK_IMAGES='16',
        PATH=f'{bin_dir}{os.pathsep}{os.environ["PATH"]}',
        PYTHONPATH=str(ROOT),
        TORCH_HOME=str(folder / 'torch_home'),
    )
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    'path', [x for x in MARKDOWN if BLOCK.search(x.read_text())], ids=name
)
def test_runnable_blocks(path, tmp_path):
    script = 'set -e\n'
    for file, text in BLOCK.findall(path.read_text()):
        if file:
            (tmp_path / file).write_text(text)
        else:
            script += text
    run(['bash', '-c', script], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('path', NOTEBOOKS, ids=name)
def test_notebooks(path, tmp_path):
    cells = json.loads(path.read_text())['cells']
    code = [''.join(x['source']) for x in cells if x['cell_type'] == 'code']
    run([sys.executable, '-c', '\n'.join(code)], tmp_path)
