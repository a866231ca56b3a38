# Copyright (c) mmfba authors.
import importlib.util

import pytest
from run_tool import ROOT


@pytest.mark.parametrize(
    'page', ['README.md', 'configs/fba/README.md', 'docs/memory.md']
)
def test_tables_are_those_of_the_committed_results(page):
    spec = importlib.util.spec_from_file_location(
        'render', ROOT / 'benchmarks/render.py'
    )
    render = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render)
    text = (ROOT / page).read_text()
    assert any(word in text for word in ('| mAP |', 'mAP 0.', '| bp |'))
    assert render.render(text) == text
