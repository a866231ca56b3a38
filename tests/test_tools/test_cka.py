# Copyright (c) mmfba authors.
import json
import logging

import pytest
import torch
from mmengine.config import Config
from run_tool import ROOT, load_tool, run_tool
from tiny_data import write_fashion_mnist

from mmfba.models.build_model import build_model

OPTIONS = """
model = dict(backbone=dict(depth=14))
test_dataloader = dict(
    batch_size=8, num_workers=0, persistent_workers=False
)
"""
NAME = 'resnet32_1xb128-2e_fashion-mnist.py'


@pytest.fixture
def networks(tmp_path):
    """Arguments of the tool: BP, and FBA of three modules."""
    write_fashion_mnist(tmp_path / 'data/fashion_mnist', num_test=28)
    arguments = {}
    for name, base, extra in (
        ('BP', f'bp/{NAME}', ''),
        ('FBA', f'fba/fba-k16_{NAME}', 'local_learning=dict(num_modules=3), '),
    ):
        path = tmp_path / f'{name}.py'
        text = OPTIONS.replace('dict(', f'dict({extra}', 1)
        path.write_text(f"_base_ = '{ROOT}/configs/{base}'\n{text}")
        torch.manual_seed(len(arguments))
        model = build_model(Config.fromfile(path))
        state = dict(state_dict=model.state_dict())
        torch.save(state, tmp_path / f'{name}.pth')
        arguments[name] = f'--network {name} {name}.py {name}.pth'
    return arguments


def test_table_json_and_plot(networks, tmp_path):
    out = run_tool(
        tmp_path,
        f'analysis_tools/cka.py {networks["BP"]} {networks["FBA"]} '
        '--network again BP.py BP.pth --out results/c.json --plot c.png',
    )
    result = json.loads((tmp_path / 'results/c.json').read_text())
    assert result['num_images'] == 24  # of 28, in batches of 8
    bp, fba, again = result['networks']
    units = ['stem'] + [f'layer{i}.{j}' for i in (1, 2, 3) for j in (0, 1)]
    assert bp['units'] == fba['units'] == units
    assert [bp['cka'][i][i] for i in range(7)] == [1] * 7
    assert again['cka'] == bp['cka'] != fba['cka']
    assert all(-1 <= x <= 1 for row in fba['cka'] for x in row)
    assert len(fba['probe']) == 7 and again['probe'] == bp['probe']
    assert f'{fba["cka"][6][6]:.4g}' in out and 'layer3.1' in out
    assert (tmp_path / 'c.png').stat().st_size > 10000


@pytest.mark.parametrize(
    'options, words',
    [
        ('{BP} --network x FBA.py BP.pth', 'BP.pth is no checkpoint of'),
        (
            '{BP} {FBA} --cfg-options test_dataloader.batch_size=2',
            'error: CKA of a batch of 2',
        ),
    ],
)
def test_wrong_input_is_one_message(
    networks, tmp_path, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.argv', ['cka.py', *_split(options, networks)])
    with pytest.raises(SystemExit, match=words):
        load_tool('analysis_tools/cka').main()
    logging.disable(logging.NOTSET)


def _split(options, networks):
    return options.format(**networks).split()
