# Copyright (c) mmfba authors.
import importlib
import json

import pytest
import yaml
from fba_rule import breaks_the_rule
from run_tool import ROOT


@pytest.fixture
def render(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'benchmarks')
    return importlib.import_module('render')


def test_tables_are_those_of_the_committed_results(render):
    words = '| mAP |', '| bp |', '| paper |', '| percent |', '| SLM |'
    words += ('<!-- /similarity -->', '<!-- /sharding -->', '| passed |')
    words += ('| LocalDDP |',)
    for page in render.PAGES:
        text = (ROOT / page).read_text()
        assert any(word in text for word in words), page
        assert render.render(text) == text, page


def test_metafiles_are_those_of_the_committed_results(render):
    for folder in render.FOLDERS:
        text = (ROOT / f'configs/{folder}/metafile.yml').read_text()
        assert render.metafile(folder) == text, folder
        assert 'Epochs: ' in text, folder
    scenes = 'Dataset: digit scenes\n    Metrics:\n      mAP: 0.'
    text = (ROOT / 'configs/fba/metafile.yml').read_text()
    assert scenes in text and 'Training Memory (GB): ' in text


def test_metafile_has_the_result_of_most_seeds(render, monkeypatch):
    from rendering import metafiles

    name = 'configs/fba/fba-k4_yolov1_r18-w32_1xb8-6e_digit-scenes.py'
    runs = [dict(metrics={'coco/bbox_mAP': ap}) for ap in (0.5, 0.75, 0.25)]
    results = {
        key: dict(
            rows=[dict(config=name, options=[], peak_bytes=2**30, runs=some)]
        )
        for key, some in dict(a=runs[1:2], b=runs[1:], c=runs[1:2]).items()
    }
    monkeypatch.setattr(metafiles, 'comparison_results', lambda: results)
    models = yaml.safe_load(metafiles.metafile('fba'))['Models']
    (found,) = (m['Results'] for m in models if m['Config'] == name)
    assert found[0]['Metrics'] == dict(mAP=0.5)


def test_table_of_the_paper_has_what_a_config_gave(
    render, tmp_path, monkeypatch
):
    shared = ['train_cfg.max_epochs=6']
    one = 'model.local_learning.num_modules=1'
    costs = dict(peak_bytes=2**30, peak_ratio=2.0, flops_ratio=3.0)
    costs['operators_ratio'] = 4.0
    config = 'configs/fba/fba-k4_a.py'
    made = dict(slm='s', bank='b', head='h')
    rows = [
        dict(costs, config=config, options=[*shared, one], mean=0.7, std=0.1),
        dict(costs, config=config, options=shared, mean=0.5, std=None, **made),
        dict(costs, config='configs/dgl/b.py', options=[*shared, 'x=1']),
        dict(costs, config='configs/dgl/c.py', options=shared),
    ]
    rows[0].update(peak_ratio=1.0, flops_ratio=1.0, operators_ratio=1.0)
    rows[0]['values'] = [0.6, 0.7, 0.8]
    aps = {'mAP': 0.5, 'mAP_50': 0.75, 'mAP_75': 0.25}
    metrics = {f'coco/bbox_{key}': value for key, value in aps.items()}
    rows[1].update(values=[0.75], runs=[dict(metrics=metrics)])
    # Not trained.
    rows.append(dict(costs, config=config, options=shared, **made))
    from rendering import paper

    result = dict(metric='coco/bbox_mAP_50', rows=rows)
    _results(paper, tmp_path, monkeypatch, 'comparisons', result)
    configs = ['bp/a', 'fba/fba-k4_a', 'dgl/b', 'dgl/c']
    table = [dict(row='r', configs=[c]) for c in configs]
    (tmp_path / 'benchmarks').mkdir()
    text = yaml.safe_dump(
        {1: table, 'here': [dict(row='s', configs=['dgl/d'])]}
    )
    (tmp_path / 'benchmarks/paper.yml').write_text(text)
    _, _, bp, fba, *_ = paper.paper_table('1', ['bp', 'fba']).splitlines()
    none = '| - | - | -'
    assert f'[a](../bp/a.py) {none} | - | AP50 0.700 ± 0.100 ([opt' in bp
    assert 'comparisons/x.py' in bp
    assert bp.endswith('| 1.00 | 1.00 | 1.00 | 1.00 |')
    assert (
        fba.endswith('| 1.00 | 2.00 | 3.00 | 4.00 |')
        and '| s | b | h | - |' in fba
        and 'mAP 0.500, AP50 0.750, AP75 0.250 (' in fba
    )
    _, _, b, c, d = paper.paper_table('all', ['dgl']).splitlines()
    assert b.endswith('| not run |') and '| - | not run | - |' in d
    assert '| - | not run | - | 1.00 |' in c


ORIGIN = dict(command='c', date='d', device='cpu', machine='m', torch='2')


def _results(module, tmp_path, monkeypatch, kind, result):
    monkeypatch.setattr(module, 'ROOT', tmp_path, raising=False)
    monkeypatch.setattr(module, 'RESULTS', tmp_path)
    for folder in (kind, 'docs/images'):
        (tmp_path / folder).mkdir(parents=True)
    text = json.dumps(dict(ORIGIN, **result))
    (tmp_path / kind / 'x.json').write_text(text)


def test_comparison_says_which_order_is_shown(render, tmp_path, monkeypatch):
    costs = dict(aux_parameters=0, activation_ratio=1, num_modules=1)
    costs.update(peak_ratio=1, flops_ratio=1, step_time_ratio=None, cuts=[])
    means = dict(BP=0.7, FBA=0.5, DGL=0.46, greedy=0.35)
    rows = [
        dict(costs, arm=arm, mean=mean, std=0.02)
        for arm, mean in means.items()
    ]
    for row in rows:
        row['values'] = [row['mean'] - 0.014, row['mean'] + 0.014]
    rows[0]['runs'] = [dict(run_options=['a=1', 'b=2']), dict(device='H')]
    rows.append(dict(costs, arm='PredSim', step_time_ratio=1.25))
    rows[1].update(slm='stage_tail x1.0', bank='1 entry', head='copy')
    rows[2].update(num_modules=3, cuts=['layer1.0', 'layer2.0'])
    rows[3].update(num_modules=16)
    result = dict(metric='m', seeds=[0, 1], rows=rows)
    from rendering import comparison

    _results(comparison, tmp_path, monkeypatch, 'comparisons', result)
    table = comparison.comparison_table('x', None)
    none = '| - | - | -'
    named = '| arm | K | cuts after | SLM | bank | head | m | vs BP | vs FBA |'
    assert f'{named} peak / BP | rest / BP | FLOPs / BP | time /' in table
    assert f'| BP | 1 |  {none} | 0.700 ± 0.020 |  | better |' in table
    made = '| stage_tail x1.0 | 1 entry | copy'
    # Two standard deviations of 0.0198, t of two degrees of freedom: 4.303.
    low = '-0.200 [-0.285, -0.115], worse'
    assert f'| FBA | 1 |  {made} | 0.500 ± 0.020 | {low} |  |' in table
    cuts = f'layer1.0, layer2.0 {none}'
    assert f'| DGL | 3 | {cuts} | 0.460 ± 0.020 | -0.240 [' in table
    assert '0.155], worse | no difference shown | 1.00' in table
    assert f'| greedy | 16 | ... {none} | 0.350 ± 0.020 | -0.350 [' in table
    costs = '| 1.00 | 1.00 | 1.00 | 1.25 |'
    assert f'| PredSim | 1 |  {none} | not run |  |  {costs}' in table
    assert 'Time: of steps of all arms in turn.' in table
    assert 'Not complete: 0 to 2 of 2 seeds.' in table
    assert 'Mean and' not in table
    assert '1 of 2 trainings with `a=1 b=2`.' in table
    assert '1 of 2 trainings on an H.' in table
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


def test_failures_count_by_configs(render, tmp_path, monkeypatch):
    good = dict(type='A', configs=['a', 'b', 'c'], cuts=['x', 'y', 'z'])
    short = dict(type='A', configs=['d'], cuts=['x'])
    bad = dict(type='None', configs=['e', 'f'], reason='no | <class>')
    result = dict(
        ORIGIN,
        library='l 1.0',
        num_modules=4,
        not_trained=5,
        other_tasks=dict(MAE=2, GAN=1),
        unreadable=[dict(config='g', reason='r')],
        networks=[good, short, bad],
    )
    from rendering import supported

    monkeypatch.setattr(supported, 'RESULTS', tmp_path)
    monkeypatch.setattr(supported, 'LIBRARIES', ('one', 'two'))
    (tmp_path / 'supported').mkdir()
    for name in ('one', 'two'):
        text = json.dumps(dict(result, networks=[good]))
        (tmp_path / f'supported/{name}.json').write_text(text)
    table = supported.supported_table
    assert table('failures', None) == table('short', None) == 'None.'
    (tmp_path / 'supported/two.json').write_text(json.dumps(result))
    libraries = table('libraries', None)
    assert '| l 1.0 | 1 | 3 | 3 | 100.0 | 0 | 0 | 1 | 5 | 3 |' in libraries
    assert '| l 1.0 | 3 | 6 | 3 | 50.0 | 1 | 2 | 1 | 5 | 3 |' in libraries
    assert [*table('failures', None).splitlines()][2:] == [
        f'| two: {name} | without a type | no \\| &lt;class> |'
        for name in 'ef'
    ]
    assert '| two: d | A | x |' in table('short', None)
    assert '| one: g | r |' in table('unreadable', None)
    assert '- two, 3: MAE (2), GAN (1).' in table('others', None)
    families = table('families', None)
    assert '| one | A | 1 | 3 | 3 |' in families
    assert '| two | A | 2 | 4 | 4 |' in families
    assert '| two | without a type | 1 | 2 | 0 |' in families


def test_what_has_not_been_run_is_named(render):
    text = '<!-- comparison nothing -->old<!-- /comparison -->'
    assert 'Not run.' in render.render(text)


def test_every_config_is_a_row_of_the_tables(render):
    tables = yaml.safe_load((ROOT / 'benchmarks/paper.yml').read_text())
    rows = [row for table in tables.values() for row in table]
    named = {config for row in rows for config in row['configs']}
    files = {
        f'{folder}/{path.stem}'
        for folder in render.FOLDERS
        for path in (ROOT / 'configs' / folder).glob('*.py')
    }
    assert named == files


def test_rows_called_fba_have_an_slm_and_read_the_bank():
    found, broken = 0, []
    for path in (ROOT / 'benchmarks/results/comparisons').glob('*.json'):
        for row in json.loads(path.read_text())['rows']:
            name = row['arm'].split(' (')[0]
            called = name == 'FBA' or name.startswith(('fba/', 'fba_paper/'))
            if not called or row['num_modules'] == 1:
                continue
            if 'slm' in row:
                found += 1
                broken += filter(None, [breaks_the_rule(row['config'], row)])
    assert found > 9 and not broken


def test_recommended_rows_are_beside_bp_and_fba(render):
    from rendering import results

    table = results.results_table()
    for network, arms in (
        ('small EDSR x2, photographs', ['FBA', 'FBA (lr x3)']),
        ('RetinaNet-R18, digit scenes', ['FBA', 'FBA', 'local FPN']),
    ):
        lines = [x for x in table.splitlines() if f'| {network} |' in x]
        names = [line.split('|')[2].strip() for line in lines]
        assert names == ['BP', *arms]


def test_rows_without_all_seeds_are_not_in_the_readme(render):
    from rendering.results import _is_shown

    result = dict(seeds=[0, 1, 2])
    assert _is_shown(dict(arm='FBA (K=4)', runs=[1, 2, 3]), result)
    assert not _is_shown(dict(arm='FBA', runs=[1, 2]), result)
    assert not _is_shown(dict(arm='FBA'), result)
    assert not _is_shown(dict(arm='DGL', runs=[1, 2, 3]), result)


def test_model_of_a_step(render):
    from step_model import FLOPS, WAYS, Module, Step

    mib = 2**20
    modules = [
        Module(plain=1e12, local=4e12, plain_bytes=30 * mib, local_bytes=mib),
        Module(2e12, 6e12, plain_bytes=90 * mib, local_bytes=119 * mib),
    ]

    def seconds(way, gpus, network):
        step = Step(gpus, network)
        WAYS[way](modules, step)
        return step.seconds

    # Alone, a step is its work.
    for way, work in dict(DDP=9e12, FSDP2=9e12, LocalDDP=1e13).items():
        assert seconds(way, 1, 1e9) == pytest.approx(work / FLOPS)
    # Where the wire alone counts, a step is what travels over it: DDP reduces,
    # which is two rounds, FSDP2 gathers twice and scatters once, but for the
    # last of four parts of its second module, which stays for the backward.
    round_s = 120 * mib / 2 / 1e3
    rounds = {
        'DDP': 2,
        'LocalDDP': 2,
        'FSDP2': 3 - 22.5 / 120,
        'local FSDP2': 2,
    }
    for way, count in rounds.items():
        assert seconds(way, 16, 1e3) == pytest.approx(count * round_s, 1e-2)
    # Never faster than the work or the wire.
    assert seconds('DDP', 16, 1e9) > max(9e12 / FLOPS, 2 * round_s / 1e6)


def test_side_by_side_has_the_paper_ours_and_the_recommended(
    render, tmp_path, monkeypatch
):
    costs = dict(peak_ratio=0.5, flops_ratio=1, operators_ratio=2, cuts=['a'])
    costs.update(activation_ratio=1, num_modules=2, step_time_ratio=None)
    rows = [
        dict(costs, arm=arm, values=values, mean=sum(values) / 2, std=0.0)
        for arm, values in dict(
            BP=[0.7, 0.72], FBA=[0.5, 0.52], p=[0.4, 0.42], SLM=[0.6, 0.62]
        ).items()
    ]
    result = dict(metric='m', seeds=[0, 1], rows=rows)
    from rendering import side_by_side

    _results(side_by_side, tmp_path, monkeypatch, 'comparisons', result)
    tasks = {'t': ('x', ('p', 'FBA', 'SLM'))}
    monkeypatch.setattr(side_by_side, 'TASKS', tasks)
    table = side_by_side.side_by_side_table().splitlines()
    made = '2 | a | - | - | -'
    assert table[2].startswith(f'| t | paper, `s1` | p | {made} | 0.410 ± ')
    assert table[3].startswith(f'| t | our FBA | FBA | {made} | 0.510 ± ')
    assert table[4].startswith(f'| t | recommended | SLM | {made} | 0.610 ± ')
    assert table[4].endswith('worse | 0.50 | 1.00 | 2.00 |')
