# Copyright (c) mmfba authors.
"""What must always hold, for the three tasks."""

import copy
from dataclasses import replace

import pytest
import torch
from local_models import (
    TASKS,
    bare_loss,
    build,
    data,
    gradients,
    losses,
    raw_data,
)
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.local.memory import PeakTracker
from mmfba.local.probe import probe
from mmfba.models.describe import describe

tasks = pytest.mark.parametrize('task', TASKS)


@tasks
def test_one_module_is_bp(task):
    plain, local = build(task), build(task, num_modules=1)
    for model in (plain, local):
        total, _ = losses(model, task)
        total.backward()
    assert losses(plain, task)[0].equal(losses(local, task)[0])
    expected = gradients(plain)
    assert expected.keys() == gradients(local).keys()
    for name, grad in gradients(local).items():
        assert grad.equal(expected[name]), name


@tasks
def test_main_weights_and_random_state_are_those_of_plain_training(task):
    plain = build(task)
    state = torch.get_rng_state()
    local = build(task, num_modules=3)
    assert torch.get_rng_state().equal(state)
    for name, value in plain.state_dict().items():
        assert local.state_dict()[name].equal(value), name


@tasks
def test_auxiliary_weights_have_one_prefix_and_the_rest_loads_strictly(task):
    local = build(task, num_modules=3, seed=1)
    plain = build(task)
    rest = {
        k: v
        for k, v in local.state_dict().items()
        if not k.startswith('local_aux.')
    }
    assert len(rest) < len(local.state_dict())
    plain.load_state_dict(rest, strict=True)


@tasks
def test_predictions_are_the_plain_models_and_nothing_auxiliary_runs(task):
    plain, local = build(task).eval(), build(task, num_modules=3).eval()
    for module in local.local_aux.modules():
        module.register_forward_hook(pytest.fail)
    with torch.no_grad():
        for mode in ('tensor', 'predict'):
            outputs = [
                _flat(m(**data(m, task, False), mode=mode))
                for m in (plain, local)
            ]
            assert outputs[0]
            assert all(a.equal(b) for a, b in zip(*outputs))


@tasks
def test_immediate_equals_summed(task):
    expected = None
    for backward in ('summed', 'immediate'):
        model = build(task, num_modules=3, backward=backward).double()
        batch = _double(data(model, task))
        total, logs = model.parse_losses(bare_loss(model, batch))
        total.backward()
        if expected is None:
            expected, all_losses = gradients(model), total.item()
    assert all(g is not None for g in expected.values())
    for name, grad in gradients(model).items():
        torch.testing.assert_close(
            grad, expected[name], rtol=1e-10, atol=1e-12
        )
    local = sum(v for k, v in logs.items() if k.startswith('aux'))
    assert total.item() + local == pytest.approx(all_losses, rel=1e-10)
    assert not any('loss' in k for k in logs if k.startswith('aux'))


@tasks
def test_no_gradient_crosses_a_cut(task):
    model = build(task, num_modules=3)
    returned = bare_loss(model, data(model, task), backward=lambda loss: None)
    total, _ = model.parse_losses(returned)
    total.backward()
    stop = model.ranges[-1][0]
    units = model.anatomy.units[:stop]
    early = {f'{model.network_name}.{n}' for u in units for n in u.parameters}
    early |= {n for n, _ in model.named_parameters() if 'local_aux' in n}
    for name, p in model.named_parameters():
        assert (p.grad is None) == (name in early), name


@pytest.mark.parametrize('timing', ['causal', 'two_pass'])
@pytest.mark.parametrize('task', ['classification', 'detection'])
def test_batch_norm_statistics_move_once(task, timing):
    plain = build(task)
    auxiliary = dict(neck=dict(fusion='add'))  # or nobody reads the bank
    local = build(
        task,
        num_modules=3,
        partition='uniform',
        timing=timing,
        auxiliary=auxiliary,
    )
    for model in (plain, local):
        losses(model, task)
    expected = plain.state_dict()
    tracked = [
        m.num_batches_tracked
        for m in local.modules()
        if isinstance(m, nn.BatchNorm2d)
    ]
    assert tracked and all(n == 1 for n in tracked)
    for name, value in expected.items():
        assert local.state_dict()[name].equal(value), name


def test_a_first_pass_that_nobody_reads_is_refused():
    twice = dict(timing='two_pass', auxiliary=dict(neck=dict(fusion='none')))
    with pytest.raises(ValueError, match='no auxiliary network reads it'):
        build('classification', num_modules=3, **twice)
    build('classification', num_modules=1, **twice)  # plain


def test_classifiers_read_the_pooled_features_of_earlier_cuts():
    model = build('classification', num_modules=4)
    cuts = [f'{cut}.pooled' for cut in model.cuts]
    for i, aux in enumerate(model.local_aux):
        assert aux.reads == tuple(cuts[:i])
        assert aux.neck.fusion.operator == 'add'
    alone = dict(neck=dict(fusion='none'))
    model = build('classification', num_modules=4, auxiliary=alone)
    assert not any(aux.reads for aux in model.local_aux)


def test_classifiers_of_maps_read_maps_of_earlier_cuts():
    model = build('classification', num_modules=3)
    found = probe(model.backbone, [32])
    main = replace(model.main_model(found), head_inputs=((2, 32, 8, 8),))
    assert model.default_taps(main, ['stem']) == ['stem']


@tasks
def test_bank_is_empty_after_a_step_and_after_an_exception(task):
    model = build(task, num_modules=3)
    losses(model, task)
    assert len(model.learner.bank) == 0
    broken = model.local_aux[-1]
    loss, broken.loss = broken.loss, None
    with pytest.raises(TypeError):
        losses(model, task)
    assert len(model.learner.bank) == 0
    broken.loss = loss
    model.zero_grad()
    total, _ = losses(model, task)
    total.backward()
    assert all(g is not None for g in gradients(model).values())


@tasks
def test_a_copy_steps_without_touching_its_original(task):
    model = build(task, num_modules=3)
    losses(model, task)[0].backward()
    model.zero_grad()
    twin = copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    expected = [losses(m, task)[0] for m in (model, twin)]
    assert expected[0].equal(expected[1])
    model.zero_grad()
    losses(twin, task)[0].backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()
    assert all(g is None for g in gradients(model).values())
    assert all(g is not None for g in gradients(twin).values())
    for name, p in model.named_parameters():
        assert p.equal(before[name]), name


@tasks
def test_auxiliary_parameters_are_optimized_at_their_own_rate(task):
    model = build(task, num_modules=3)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='mmfba.LocalLearningOptimWrapper',
            optimizer=dict(type='SGD', lr=0.1),
            paramwise_cfg=dict(custom_keys=dict(local_aux=dict(lr_mult=0.5))),
        ),
    )
    before = copy.deepcopy(model.state_dict())
    model.train_step(raw_data(task), wrapper)
    rates = {p: g['lr'] for g in wrapper.param_groups for p in g['params']}
    for name, p in model.named_parameters():
        aux = name.startswith('local_aux.')
        assert rates[p] == pytest.approx(0.05 if aux else 0.1), name
    moved = [n for n, p in model.named_parameters() if not p.equal(before[n])]
    assert any(n.startswith('local_aux.') for n in moved)
    assert any(not n.startswith('local_aux.') for n in moved)


@tasks
def test_wrong_optim_wrapper_is_refused_by_name(task):
    model = build(task, num_modules=3)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(TypeError, match='mmfba.LocalLearningOptimWrapper'):
        model.train_step(raw_data(task), wrapper)
    model.learner.backward = 'summed'
    model.train_step(raw_data(task), wrapper)


@tasks
def test_local_wrapper_on_a_plain_model_is_refused(task):
    model = build(task)
    wrapper = LocalLearningOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1)
    )
    with pytest.raises(TypeError, match="'mmfba.Local' and the name"):
        model.train_step(raw_data(task), wrapper)


@tasks
def test_a_step_needs_less_activation_memory_than_bp(task):
    wide = dict(  # FPN and head are wider than those at the cuts, as usual
        backbone=dict(base_channels=16),
        neck=dict(in_channels=[16, 32, 64, 128], out_channels=64),
        bbox_head=dict(in_channels=64, feat_channels=64),
    )
    plain_options = wide if task == 'detection' else None
    peaks = {}
    for name, options in dict(bp={}, fba=dict(num_modules=3)).items():
        model = build(task, plain_options, **options)
        batch = data(model, task, batch_size=8, size=128)
        with PeakTracker().track(model, batch['inputs']) as tracker:
            static = tracker.current
            total, _ = model.parse_losses(bare_loss(model, batch))
            total.backward()
        grads = sum(p.nbytes for p in model.parameters())
        peaks[name] = tracker.peak - static - grads
    assert peaks['fba'] < 0.8 * peaks['bp']


def test_every_auxiliary_head_got_its_init_cfg():
    model = build('detection', num_modules=4)
    for aux in model.local_aux:
        assert aux.head.retina_cls.bias.unique().item() == pytest.approx(
            -4.595, abs=1e-3
        )
        assert 0.005 < aux.head.retina_cls.weight.std() < 0.02


def test_frozen_stages_are_a_prefix_outside_k():
    frozen = dict(backbone=dict(frozen_stages=1))
    model = build('detection', frozen, num_modules=3, partition='stage')
    rows = describe(model)
    assert [row['units'] for row in rows] == [
        'layer2.0 .. layer2.1',
        'layer3.0 .. layer3.1',
        'layer4.0 .. layer4.1',
    ]
    losses(model, 'detection')[0].backward()
    for name, p in model.named_parameters():
        is_prefix = name.startswith(
            ('backbone.conv1', 'backbone.bn1', 'backbone.layer1.')
        )
        assert (p.grad is None) == is_prefix, name
    with pytest.raises(ValueError, match='frozen prefix'):
        build('detection', frozen, partition=['layer1.0'])


def test_gradient_of_a_shared_head_is_the_sum_over_modules():
    options = dict(
        num_modules=3,
        auxiliary=dict(head=dict(mode='shared'), neck=dict(out_channels=16)),
    )
    model = build('detection', **options).double()
    own = {n for n, _ in model.named_parameters()}
    assert not any('local_aux' in n and 'retina_cls' in n for n in own)
    batch, terms = _double(data(model, 'detection')), []

    def collect(loss):
        model.bbox_head.zero_grad()
        loss.backward()
        terms.append(model.bbox_head.retina_cls.weight.grad.clone())
        model.bbox_head.zero_grad()

    total, _ = model.parse_losses(bare_loss(model, batch, backward=collect))
    collect(total)
    assert len(terms) == 3
    model.zero_grad()
    model.parse_losses(bare_loss(model, batch))[0].backward()
    torch.testing.assert_close(
        model.bbox_head.retina_cls.weight.grad,
        sum(terms),
        rtol=1e-10,
        atol=1e-14,
    )


def test_what_no_neck_reads_is_not_kept():
    model = build('detection', num_modules=4, partition='stage')
    assert model.learner.bank.read_names == ['layer2.1']


def test_checkpointing_of_upstream():
    models = [
        build('detection', dict(backbone=dict(with_cp=cp)), num_modules=4)
        for cp in (True, False)
    ]
    for model in models:
        losses(model, 'detection')[0].backward()
    expected = gradients(models[1])
    for name, grad in gradients(models[0]).items():
        assert grad.equal(expected[name]), name


@pytest.mark.parametrize(
    'options, message',
    [
        (
            dict(num_module=4),
            "no key 'num_module'; did you mean 'num_modules'",
        ),
        (
            dict(num_modules=40),
            'num_modules=40: expected an integer from 1 to',
        ),
        (dict(partition='stages'), "partition='stages': choose from"),
        (dict(partition=['layer2.7']), "no unit 'layer2.7'; did you mean"),
        (dict(partition=['layer2.0'], num_modules=4), 'make 2 modules'),
        (dict(backward='later'), "backward='later': choose from"),
        (dict(timing='now'), "timing='now': choose from"),
        (dict(taps=['layer9.0']), "no feature 'layer9.0'"),
        (dict(taps=['layer1.0']), r"nobody reads \['layer1.0'\]"),
        (dict(loss_weight=0), 'is not trained'),
        (
            dict(auxiliary=dict(neck=dict(type='mmfba.SLMFPN', mode='tail'))),
            "mode='tail': choose",
        ),
        (
            dict(auxiliary=dict(neck=dict(fusion='mean'))),
            "fusion='mean': choose",
        ),
        (
            dict(auxiliary=dict(head=dict(mode='own'))),
            "mode='own': choose from",
        ),
        (
            dict(
                auxiliary=dict(
                    head=dict(mode='shared'), neck=dict(out_channels=8)
                )
            ),
            'out_channels=16',
        ),
    ],
)
def test_wrong_settings_name_key_value_and_choices(options, message):
    with pytest.raises(ValueError, match=message):
        build('detection', **options)


def _flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, (list, tuple)):
        return [t for output in outputs for t in _flat(output)]
    if hasattr(outputs, 'pred_instances'):
        found = outputs.pred_instances
        return [found.bboxes, found.scores, found.labels]
    if hasattr(outputs, 'pred_score'):
        return [outputs.pred_score]
    return [outputs.output.pred_img]


def _double(batch):
    batch['inputs'] = batch['inputs'].double()
    samples = batch['data_samples']
    if hasattr(samples, 'gt_img'):
        samples.gt_img = samples.gt_img.double()
    elif hasattr(samples[0], 'gt_instances'):
        for sample in samples:
            boxes = sample.gt_instances.bboxes
            sample.gt_instances.bboxes = boxes.double()
    return batch
