# Copyright (c) mmfba authors.
import copy

import pytest
import torch
import torch.nn.functional as F
from local_models import build, raw_data
from mmengine.optim import OptimWrapper
from peers import LABELS, assert_equals_reference, count, feature
from peers import peer_spec as spec
from torch import nn

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.models.auxiliary import MANAuxiliary

GREEDY = dict(type='mmfba.GreedyAuxiliary')
MAN = dict(type='mmfba.MANAuxiliary', host=GREEDY)


class Block(nn.Module):
    """The first of stage 2: 16 to 32 channels, half the size."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(16, 32, 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 32, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.skip = nn.Conv2d(16, 32, 1, 2, bias=False)
        self.skip_norm = nn.BatchNorm2d(32)

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.skip_norm(self.skip(x)))


class Equations(nn.Module):
    def __init__(self, learn_scale):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(())) if learn_scale else None
        self.learned, self.average = Block(), Block()
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        s = 1 if self.scale is None else self.scale
        y = s * self.learned(x) + (2 - s) * self.average(x)
        return F.cross_entropy(self.fc(y.mean((2, 3))), LABELS)


@pytest.mark.parametrize('learn_scale', [False, True])
def test_loss_and_gradients_are_those_of_the_equations(learn_scale):
    aux = MANAuxiliary(spec('layer1.4'), GREEDY, learn_scale=learn_scale)
    assert_equals_reference(
        aux,
        Equations(learn_scale),
        feature(16, 8),
        frozen=list(aux.average.parameters()),
    )


def test_scale_of_man_plus_plus_begins_at_one():
    aux = MANAuxiliary(spec('layer1.4'), GREEDY, learn_scale=True)
    aux.init_weights()
    assert aux.scale.item() == 1 and aux.scale.requires_grad


def test_parameter_counts():
    # The host classifies the width of the next unit.
    block, classifier = 4608 + 64 + 9216 + 64 + 512 + 64, 330
    aux = MANAuxiliary(spec('layer1.4'), GREEDY)
    trained = sum(p.numel() for p in aux.parameters() if p.requires_grad)
    assert (trained, count(aux)) == (block + classifier, 2 * block + 330)


def man(**options):
    return build('classification', num_modules=3, auxiliary=MAN, **options)


def wrapper_of(model, cls=LocalLearningOptimWrapper, **options):
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1
    )
    return cls(optimizer, **options)


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


def next_block(model, index=0):
    stop = model.ranges[index][1]
    name = model.anatomy.units[stop].name
    return model.cut_network()['blocks'][name]


def test_both_begin_as_the_next_unit_after_initialization():
    model = man()
    for i, aux in enumerate(model.local_aux):
        source = next_block(model, i).state_dict()
        for block in (aux.learned, aux.average):
            assert all(
                block.state_dict()[k].equal(v) for k, v in source.items()
            )


def test_average_follows_the_next_unit_after_each_step():
    model = man()
    wrapper = wrapper_of(model)
    expected = weights(model.local_aux[0].average)
    for seed in range(3):
        model.train_step(raw_data('classification', seed=seed), wrapper)
        now = weights(next_block(model))
        expected = [0.995 * e + 0.005 * p for e, p in zip(expected, now)]
    average = model.local_aux[0].average
    for own, other, source in zip(weights(average), expected, now):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-8)
        assert not own.equal(source)
    assert all(p.grad is None for p in average.parameters())


def test_average_waits_for_the_step_of_an_accumulation():
    model = man()
    wrapper = wrapper_of(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    before, moved = weights(model.local_aux[0].average), []
    for seed in range(4):
        model.train_step(raw_data('classification', seed=seed), wrapper)
        now = weights(model.local_aux[0].average)
        moved.append(not all(a.equal(b) for a, b in zip(now, before)))
        before = now
    assert moved == [False, True, False, True]


def test_a_copy_follows_its_own_backbone():
    model = man()
    twin = copy.deepcopy(model)
    before = weights(model)
    twin.train_step(raw_data('classification'), wrapper_of(twin))
    assert all(a.equal(b) for a, b in zip(weights(model), before))
    (source,) = twin.local_aux[0]._next
    assert source is next_block(twin) and source is not next_block(model)


def test_average_is_saved_and_the_next_unit_is_not_saved_twice():
    model = man()
    model.train_step(raw_data('classification'), wrapper_of(model))
    state = model.state_dict()
    keys = {key.split('.')[2] for key in state if key.startswith('local_aux')}
    assert keys == {'learned', 'average', 'host'}
    other = man(seed=1)
    other.load_state_dict(state)
    assert all(
        a.equal(b)
        for a, b in zip(
            other.local_aux[1].average.parameters(),
            model.local_aux[1].average.parameters(),
        )
    )


def test_a_wrapper_that_does_not_call_after_step_is_refused():
    model = man(backward='summed')
    with pytest.raises(TypeError, match='does not call what MANAuxiliary'):
        model.train_step(
            raw_data('classification'), wrapper_of(model, OptimWrapper)
        )


def test_recomputing_gives_the_same_weights():
    results = []
    for checkpoint in (False, True):
        model = man(checkpoint=checkpoint)
        wrapper = wrapper_of(model)
        for seed in range(2):
            model.train_step(raw_data('classification', seed=seed), wrapper)
        results.append(model.state_dict())
    for key, value in results[0].items():
        torch.testing.assert_close(results[1][key], value, msg=key)


def test_a_host_in_detection_gets_the_level_that_ends_at_the_cut():
    host = dict(
        type='mmfba.FBAAuxiliary',
        neck=dict(type='mmfba.SLMFPN'),
        head=dict(type='mmfba.TaskHead'),
    )
    model = build(
        'detection',
        partition=['layer2.1', 'layer3.0'],
        auxiliary=dict(MAN, host=host),
    )
    first, second = model.local_aux
    assert first.reads == ('layer2.1',)  # read by the neck, and live
    assert second.reads == ('layer2.1',)
    model.train_step(raw_data('detection'), wrapper_of(model))
