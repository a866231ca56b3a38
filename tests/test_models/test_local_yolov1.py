# Copyright (c) mmfba authors.
"""Local learning of a detector without a neck."""

import pytest
import torch
from local_models import bare_loss, build, data, gradients, losses

from mmfba.analysis.synthetic import make_batch, meta_targets

TASK = 'yolov1'


def double_losses(model, batch_size=4):
    batch = data(model, TASK, batch_size=batch_size)
    batch['inputs'] = batch['inputs'].double()
    return model.parse_losses(bare_loss(model, batch))


def test_one_module_is_bp():
    plain, local = build(TASK), build(TASK, num_modules=1)
    for model in (plain, local):
        losses(model, TASK)[0].backward()
    grads, expected = gradients(local), gradients(plain)
    assert grads.keys() == expected.keys()
    for name, grad in grads.items():
        assert grad.equal(expected[name]), name


def test_auxiliary_networks_by_default():
    model = build(TASK, num_modules=4, partition='stage')
    assert model.cuts == ['layer1.1', 'layer2.1', 'layer3.1']
    maps = [torch.rand(2, 8 * 2**i, 32 // 2**i, 32 // 2**i) for i in range(3)]
    bank = dict(zip(model.cuts, maps))
    for i, (aux, x) in enumerate(zip(model.local_aux, maps)):
        assert aux.reads == tuple(model.cuts[:i])
        assert aux.neck.fusion.operator == 'add'
        assert sorted(aux.neck.slm.channels) == [2, 3, 4][i:]
        (feature,) = aux.neck(x, bank)
        # Half of the main feature's channels, at its stride.
        assert feature.shape == (2, 32, 4, 4)
        head = aux.head
        assert head is not model.bbox_head
        assert type(head) is type(model.bbox_head)
        assert len(head.convs) == 1
        assert head.conv_pred.in_channels == 32
        assert head((feature,))[0].shape == (2, 14, 2, 2)
        assert 0.005 < head.conv_pred.weight.std() < 0.02


@pytest.mark.parametrize(
    'options',
    [
        dict(num_modules=9),
        dict(num_modules=3, auxiliary=dict(neck=dict(mode='stage_tail'))),
        dict(num_modules=3, auxiliary=dict(neck=dict(fusion='none'))),
        dict(
            num_modules=3,
            timing='two_pass',
            taps=['layer4.1'],
            auxiliary=dict(neck=dict(fusion='gate')),
        ),
        dict(
            num_modules=3,
            auxiliary=dict(
                neck=dict(channel_ratio=1.0), head=dict(mode='shared')
            ),
        ),
    ],
    ids=['K=9', 'stage_tail', 'SLM only', 'two passes', 'shared head'],
)
def test_every_parameter_learns(options):
    model = build(TASK, **options)
    losses(model, TASK)[0].backward()
    for name, grad in gradients(model).items():
        assert grad is not None and grad.isfinite().all(), name
    assert len(model.learner.bank) == 0


def test_the_bank_holds_the_ends_of_stages():
    model = build(TASK, partition=['layer1.1', 'layer2.0'])
    assert [aux.reads for aux in model.local_aux] == [(), ('layer1.1',)]


@pytest.mark.parametrize('chunk', [1, 3])
def test_chunks_give_the_gradients_of_the_batch(chunk):
    model = build(TASK, num_modules=3, chunk=chunk).double()
    whole = build(TASK, num_modules=3).double()
    totals = []
    for one in (model, whole):
        total, logs = double_losses(one)
        total.backward()
        totals.append([total.item(), *(float(v) for v in logs.values())])
    assert totals[0] == pytest.approx(totals[1], rel=1e-12)
    grads = gradients(model)
    for name, grad in gradients(whole).items():
        torch.testing.assert_close(
            grads[name], grad, rtol=1e-10, atol=1e-12, msg=name
        )


def test_chunks_refuse_batch_norm_in_the_head():
    head = dict(bbox_head=dict(norm_cfg=dict(type='BN')))
    with pytest.raises(ValueError, match=r'chunk.*YOLOV1Head\.convs.* batch'):
        build(TASK, head, num_modules=2, chunk=1)


def test_predictions_are_the_plain_models():
    found = []
    for model in (build(TASK), build(TASK, num_modules=3)):
        model.eval()
        with torch.no_grad():
            samples = model(**data(model, TASK, False), mode='predict')
        found.append([sample.pred_instances for sample in samples])
    assert sum(len(instances) for instances in found[0])
    for a, b in zip(*found):
        assert a.bboxes.equal(b.bboxes) and a.scores.equal(b.scores)


def test_runs_on_the_meta_device_for_the_memory_plan():
    model = build(TASK, num_modules=3).to('meta')
    images, samples = make_batch(model, 2, (64, 64), 'meta')
    with meta_targets(model):
        total, _ = model.parse_losses(
            bare_loss(model, dict(inputs=images, data_samples=samples))
        )
        total.backward()
    assert all(p.grad is not None for p in model.parameters())
