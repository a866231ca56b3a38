# Copyright (c) mmfba authors.
import importlib
import json

import pytest
import yaml
from run_tool import ROOT


@pytest.fixture
def render(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'benchmarks')
    return importlib.import_module('render')


@pytest.mark.parametrize(
    'page',
    [
        'README.md',
        'configs/bp/README.md',
        'configs/fba/README.md',
        'configs/fba_paper/README.md',
        'docs/memory.md',
        'docs/understanding.md',
    ],
)
def test_tables_are_those_of_the_committed_results(page, render):
    text = (ROOT / page).read_text()
    words = ('| mAP |', '| bp |', '| paper |', '<!-- /similarity -->')
    assert any(word in text for word in words)
    assert render.render(text) == text


def test_measured_column_of_peers_is_that_of_the_committed_results(render):
    for folder in render.PEERS:
        text = (ROOT / f'configs/{folder}/README.md').read_text()
        assert render.measured_column(text, folder) == text


def test_measured_column_takes_what_a_config_gave(
    render, tmp_path, monkeypatch
):
    shared = ['train_cfg.max_epochs=6']
    rows = [
        dict(config='configs/dgl/a.py', options=shared, mean=0.5, std=0.02),
        dict(config='configs/dgl/b.py', options=[*shared, 'x=1'], mean=0.6),
        dict(config='configs/dgl/c.py', options=shared),
    ]
    result = dict(metric='coco/bbox_mAP', rows=rows)
    from rendering import paper

    _results(paper, tmp_path, monkeypatch, 'comparisons', result)
    text = ''.join(f'| [{x}]({x}.py) | data | - | old |\n' for x in 'abc')
    a, b, c = render.measured_column(text, 'dgl').splitlines()
    assert a.startswith('| [a](a.py) | data | - | mAP 0.500 ± 0.020 ([options')
    assert 'comparisons/x.py' in a
    assert [b[-11:], c[-11:]] == ['| not run |'] * 2


ORIGIN = dict(command='c', date='d', device='cpu', machine='m', torch='2')


def _results(module, tmp_path, monkeypatch, kind, result):
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    monkeypatch.setattr(module, 'RESULTS', tmp_path)
    for folder in (kind, 'docs/images'):
        (tmp_path / folder).mkdir(parents=True)
    text = json.dumps(dict(ORIGIN, **result))
    (tmp_path / kind / 'x.json').write_text(text)


def test_comparison_says_which_order_is_shown(render, tmp_path, monkeypatch):
    costs = dict(aux_parameters=0, activation_ratio=1, num_modules=1)
    costs.update(peak_ratio=1, flops_ratio=1)
    means = dict(BP=0.7, FBA=0.5, DGL=0.46, greedy=0.45)
    rows = [
        dict(costs, arm=arm, mean=mean, std=0.02, values=[mean] * 2)
        for arm, mean in means.items()
    ]
    rows[1]['values'] = [0.5]  # broken off after this
    rows.append(dict(costs, arm='PredSim'))
    result = dict(metric='m', seeds=[0, 1], rows=rows)
    from rendering import comparison

    _results(comparison, tmp_path, monkeypatch, 'comparisons', result)
    table = comparison.comparison_table('x', None)
    assert '| BP | 1 | 0.700 ± 0.020 | better |' in table
    assert '| FBA | 1 | 0.500 ± 0.020 |  |' in table
    assert '| DGL | 1 | 0.460 ± 0.020 | no difference shown |' in table
    assert '| greedy | 1 | 0.450 ± 0.020 | worse |' in table
    assert '| PredSim | 1 | not run |  |' in table
    assert 'Not complete: 0 to 2 of 2 seeds.' in table
    assert 'Mean and' not in table
    assert 'images/x.png' in comparison.accuracy_plot('x', None)
    assert (tmp_path / 'docs/images/x.png').stat().st_size > 5000


def test_similarity_is_averaged_over_stages(render, tmp_path, monkeypatch):
    units = ['stem', 'layer1.0', 'layer1.1']
    networks = [
        dict(name=name, units=units, cka=cka, probe=[50, 60, 80])
        for name, cka in (
            ('BP', [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
            ('FBA', [[None, 0, 0], [0, 0.5, 0], [0, 0, 0.9]]),
        )
    ]
    result = dict(num_images=8, networks=networks)
    from rendering import similarity

    _results(similarity, tmp_path, monkeypatch, 'similarity', result)
    table = similarity.similarity_table('x', None)
    assert '| units | CKA FBA | probe BP | probe FBA |' in table
    assert '| stem | - | 50 | 50 |' in table
    assert '| layer1 | 0.7 | 70 | 70 |' in table
    image = tmp_path / 'docs/images/x_similarity.png'
    assert image.stat().st_size > 5000


def test_what_has_not_been_run_is_named(render):
    text = '<!-- comparison nothing -->old<!-- /comparison -->'
    assert 'Not run.' in render.render(text)


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
