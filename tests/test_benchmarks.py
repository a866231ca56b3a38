# Copyright (c) mmfba authors.
import importlib.util

import pytest
import yaml
from run_tool import ROOT


@pytest.mark.parametrize(
    'page',
    [
        'README.md',
        'configs/bp/README.md',
        'configs/fba/README.md',
        'configs/fba_paper/README.md',
        'docs/memory.md',
    ],
)
def test_tables_are_those_of_the_committed_results(page):
    spec = importlib.util.spec_from_file_location(
        'render', ROOT / 'benchmarks/render.py'
    )
    render = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render)
    text = (ROOT / page).read_text()
    assert any(w in text for w in ('| mAP |', '| bp |', '| paper |'))
    assert render.render(text) == text


def test_every_config_of_the_paper_is_a_row_of_its_tables():
    tables = yaml.safe_load((ROOT / 'benchmarks/paper.yml').read_text())
    rows = [row for table in tables.values() for row in table]
    named = {config for row in rows for config in row['configs']}
    files = {
        f'{folder}/{path.stem}'
        for folder in ('bp', 'fba', 'fba_paper')
        for path in (ROOT / 'configs' / folder).glob('*.py')
    }
    assert named == files
