# Copyright (c) mmfba authors.
import pytest
import torch
from local_models import build
from mmengine.config import Config
from mmengine.hooks import EMAHook
from tiny_runner import TinyData, make_runner

from mmfba.engine.hooks import PlainCheckpointHook
from mmfba.models.describe import describe


def test_logs_the_bank_and_writes_plain_checkpoints(tmp_path):
    model = build(
        'classification',
        num_modules=3,
        auxiliary=dict(neck=dict(fusion='concat')),
    )
    runner = make_runner(model, tmp_path)
    runner.train()
    assert any(isinstance(h, PlainCheckpointHook) for h in runner.hooks)
    history = runner.message_hub.log_scalars['train/bank_mib']
    # the pooled feature of the first cut; the forward itself holds the last
    assert history.current() * 2**20 == 2 * 8 * 4
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert any(k.startswith('local_aux.') for k in state['state_dict'])


def test_resumed_run_equals_one_that_was_not_interrupted(tmp_path):
    results = []
    for name, first in (('whole', 2), ('broken', 1)):
        folder = tmp_path / name
        folder.mkdir()
        ema = dict(custom_hooks=[dict(type=EMAHook)])
        model = build('classification', num_modules=3)
        make_runner(model, folder, epochs=first, **ema).train()
        if first == 1:
            # Other weights: all that counts has to come from the file.
            model = build('classification', num_modules=3, seed=5)
            make_runner(model, folder, epochs=2, resume=True, **ema).train()
        results.append(torch.load(folder / 'epoch_2.pth', weights_only=True))
    for part in ('state_dict', 'ema_state_dict'):
        assert results[0][part].keys() == results[1][part].keys()
        for key, value in results[0][part].items():
            assert value.equal(results[1][part][key]), key
    momenta = [r['optimizer']['state'] for r in results]
    for index, state in momenta[0].items():
        assert state['momentum_buffer'].equal(
            momenta[1][index]['momentum_buffer']
        )


def test_describes_what_each_module_trains_and_reads():
    model = build('detection', num_modules=4, partition='stage')
    rows = describe(model)
    assert [row['units'] for row in rows] == [
        'stem .. layer1.1',
        'layer2.0 .. layer2.1',
        'layer3.0 .. layer3.1',
        'layer4.0 .. layer4.1',
    ]
    assert [row['reads'] for row in rows] == [
        [],
        [],
        ['layer2.1'],
        ['layer2.1', 'layer3.1', 'layer4.1'],
    ]
    backbone = sum(p.numel() for p in model.backbone.parameters())
    assert sum(row['parameters'] for row in rows) == backbone
    auxiliary = sum(p.numel() for p in model.local_aux.parameters())
    assert sum(row['aux_parameters'] for row in rows) == auxiliary


def test_wrong_wrapper_is_refused_before_training(tmp_path):
    model = build('classification', num_modules=3)
    before = model.backbone.conv1.weight.clone()
    runner = make_runner(model, tmp_path, wrapper='OptimWrapper')
    with pytest.raises(TypeError, match='mmfba.LocalLearningOptimWrapper'):
        runner.train()
    assert model.backbone.conv1.weight.shape == before.shape
    assert not list(tmp_path.glob('*.pth'))


def test_plain_model_is_refused(tmp_path):
    runner = make_runner(build('classification'), tmp_path, 'OptimWrapper')
    with pytest.raises(TypeError, match='does no local learning'):
        runner.train()


def test_activation_checkpointing_of_mmengine_is_refused(tmp_path):
    cfg = Config(dict(activation_checkpointing=['backbone.layer1']))
    runner = make_runner(
        build('classification', num_modules=3), tmp_path, cfg=cfg
    )
    with pytest.raises(ValueError, match='remove the key'):
        runner.train()


def test_resuming_with_other_cuts_is_refused(tmp_path):
    model = build('classification', num_modules=3)
    make_runner(model, tmp_path).train()
    path = str(tmp_path / 'epoch_1.pth')
    saved = torch.load(path, weights_only=True)['local_learning']
    assert saved == dict(cuts=model.cuts) and len(model.cuts) == 2
    other = build('classification', partition=['stem', 'layer2.0'])
    runner = make_runner(
        other, tmp_path, epochs=2, load_from=path, resume=True
    )
    with pytest.raises(ValueError) as error:
        runner.train()
    assert str(model.cuts) in str(error.value)
    assert str(other.cuts) in str(error.value)
    # The same cuts resume; other cuts may start from the weights.
    same = build('classification', num_modules=3)
    runner = make_runner(same, tmp_path, epochs=2, load_from=path, resume=True)
    runner.train()
    assert runner.epoch == 2
    make_runner(other, tmp_path, load_from=path).train()


@pytest.mark.parametrize(
    'task, options, name, warned',
    [
        ('classification', dict(num_modules=3), 'FBA: SLM and bank', False),
        (
            'classification',
            dict(num_modules=3, auxiliary=dict(neck=dict(fusion='none'))),
            'SLM only',
            True,
        ),
        # The default of its cuts: no reason to warn.
        ('detection', dict(partition=['stem']), 'local FPN', False),
    ],
)
def test_names_the_method_and_warns_where_no_slm_reads(
    task, options, name, warned, tmp_path, monkeypatch
):
    scope = dict(classification='mmpretrain', detection='mmdet')[task]
    runner = make_runner(
        build(task, **options),
        tmp_path,
        dataset=TinyData(task),
        default_scope=scope,
    )
    lines = dict(info=[], warning=[])
    for level, found in lines.items():
        monkeypatch.setattr(runner.logger, level, found.append)
    runner.train()
    (table,) = (line for line in lines['info'] if 'Local learning' in line)
    assert f'; {name}:\n' in table and 'SLM' in table and 'head' in table
    warnings = [line for line in lines['warning'] if 'feature bank' in line]
    assert len(warnings) == warned
    if warned:
        assert "partition='stage'" in warnings[0] and 'fusion' in warnings[0]
        assert '\n' not in warnings[0]
