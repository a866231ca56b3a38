# Copyright (c) mmfba authors.
import copy
import weakref

import pytest
import torch
from torch import nn
from toy_network import (
    NAMES,
    assert_same,
    gradients,
    make_batch,
    make_model,
    total,
    train_step,
)

INPUTS, TARGETS = make_batch()

# Ranges of the modules; what their auxiliary networks read; timing.
ARMS = {
    'one module': (((0, 4),), {}, 'causal'),
    'by stage': (((0, 3), (3, 4)), {}, 'causal'),
    'single units': (((0, 1), (1, 2), (2, 3), (3, 4)), {}, 'causal'),
    'bank': (
        ((0, 1), (1, 2), (2, 3), (3, 4)),
        {1: ['input', 'stem'], 2: ['stem.pooled', 'a']},
        'causal',
    ),
    'own features': (((0, 2), (2, 4)), {0: ['stem', 'a.pooled']}, 'causal'),
    'two passes': (
        ((0, 2), (2, 3), (3, 4)),
        {0: ['c', 'b.pooled'], 1: ['stem', 'c.pooled']},
        'two_pass',
    ),
}


def arm(name, **options):
    modules, reads, timing = ARMS[name]
    return make_model(modules, reads, timing=timing, **options)


@pytest.fixture(params=ARMS)
def model(request):
    return arm(request.param)


def equation_1(model, inputs, targets):
    r"""S1 eq. 1 in plain PyTorch: all gradients and losses.

    .. math::
        \gamma_j \leftarrow \gamma_j
        - \eta_a \nabla_{\gamma_j} L(\hat y_j, y), \quad
        \theta_j \leftarrow \theta_j
        - \eta_l \nabla_{\theta_j} L(\hat y_j, y)
    """
    model = copy.deepcopy(model)
    blocks = {name: getattr(model.net, name) for name in NAMES}
    modules = model.ranges
    features = dict(input=inputs)
    with torch.no_grad():
        if model.learner.timing == 'two_pass':
            features.update(run_blocks(copy.deepcopy(blocks), inputs))
        prefix = NAMES[: modules[0][0]]
        features.update(run_blocks({n: blocks[n] for n in prefix}, inputs))
    x = features[prefix[-1]] if prefix else inputs
    names = {p: name for name, p in model.named_parameters()}
    gradients = {
        name: torch.zeros_like(p) if p.requires_grad else None
        for name, p in model.named_parameters()
    }
    losses = []
    for j, (start, stop) in enumerate(modules):
        x = x.detach()
        features = {name: f.detach() for name, f in features.items()}
        module = {name: blocks[name] for name in NAMES[start:stop]}
        features.update(run_blocks(module, x))
        x = features[NAMES[stop - 1]]
        if stop < len(NAMES):
            bank = dict(features)
            for name, f in features.items():
                bank[f'{name}.pooled'] = f.mean(dim=(2, 3))
            loss = model.aux[j].loss(x, bank, targets)['loss_cls']
            loss = model.learner.loss_weight * loss
            heads = [model.aux[j], *model.aux[j].shared_modules]
        else:
            output = (features['b'], features['c'])
            loss = model.main_loss(output, targets)['loss_cls']
            heads = [model.head, model.scores]
        trained = [
            p for part in [*module.values(), *heads] for p in part.parameters()
        ]
        for p, g in zip(trained, torch.autograd.grad(loss, trained)):
            gradients[names[p]] += g
        losses.append(loss.item())
    return gradients, losses


def run_blocks(blocks, x):
    features = {}
    for name, block in blocks.items():
        x = features[name] = block(x)
    return features


def test_gradients_are_those_of_equation_1(model):
    expected, losses = equation_1(model, INPUTS, TARGETS)
    returned = train_step(model, INPUTS, TARGETS)
    assert_same(gradients(model), expected, 1e-12)
    assert returned['loss_cls'].item() == pytest.approx(losses[-1], abs=1e-12)
    for j, loss in enumerate(losses[:-1]):
        logged = returned[f'aux{j}/cls'].item()
        assert logged == pytest.approx(loss, abs=1e-12)


def test_loss_weight():
    model = arm('bank', loss_weight=3.0)
    expected, losses = equation_1(model, INPUTS, TARGETS)
    returned = train_step(model, INPUTS, TARGETS)
    assert_same(gradients(model), expected, 1e-12)
    for j, loss in enumerate(losses[:-1]):
        logged = returned[f'aux{j}/cls'].item()
        assert logged == pytest.approx(loss, abs=1e-12)
    plain = train_step(arm('bank'), INPUTS, TARGETS)
    assert torch.equal(returned['aux2/acc'], plain['aux2/acc'])


def test_shared_head_gets_the_sum_over_modules():
    model = arm('bank', shared=True)
    expected, _ = equation_1(model, INPUTS, TARGETS)
    train_step(model, INPUTS, TARGETS)
    assert_same(gradients(model), expected, 1e-12)
    alone = arm('bank')
    train_step(alone, INPUTS, TARGETS)
    assert not torch.allclose(
        model.scores.weight.grad, alone.scores.weight.grad
    )


@pytest.mark.parametrize('name', [n for n in ARMS if n != 'one module'])
@pytest.mark.parametrize('shared', [False, True])
def test_immediate_equals_summed(name, shared):
    immediate, summed = (
        arm(name, shared=shared, backward=backward)
        for backward in ('immediate', 'summed')
    )
    train_step(immediate, INPUTS, TARGETS)
    returned = summed.loss(INPUTS, TARGETS)
    assert all(p.grad is None for p in summed.parameters())
    local = {n for n in returned if n.startswith('aux') and 'loss' in n}
    assert local == {f'aux{i}/loss_cls' for i in range(len(summed.aux))}
    total(returned).backward()
    assert_same(gradients(immediate), gradients(summed), 1e-12)
    for name, value in immediate.state_dict().items():
        assert torch.equal(value, summed.state_dict()[name]), name


@pytest.mark.parametrize('backward', ['immediate', 'summed'])
@pytest.mark.parametrize('timing', ['causal', 'two_pass'])
def test_one_module_is_back_propagation(backward, timing):
    model = make_model(backward=backward, timing=timing, dropout=0.3)
    plain = make_model(dropout=0.3)
    torch.manual_seed(3)
    expected = plain.plain_loss(INPUTS, TARGETS)
    total(expected).backward()
    torch.manual_seed(3)
    returned = train_step(model, INPUTS, TARGETS)
    assert returned.keys() == expected.keys()
    assert torch.equal(returned['loss_cls'], expected['loss_cls'])
    assert_same(gradients(model), gradients(plain))
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert not model.learner.needs_backward


def test_no_gradient_crosses_a_cut():
    model = arm('bank')
    touched = []

    def record(loss):
        model.zero_grad()
        loss.backward()
        touched.append(
            {n for n, g in gradients(model).items() if g is not None}
        )

    returned = model.loss(INPUTS, TARGETS, backward=record)
    record(total(returned))
    for j, (unit, names) in enumerate(zip(NAMES, touched)):
        parts = [f'net.{unit}.']
        parts += [f'aux.{j}.'] if j < 3 else ['head.', 'scores.']
        assert names == {
            n
            for n, _ in model.named_parameters()
            if n.startswith(tuple(parts))
        }
    assert len(touched) == 4


def test_frozen_prefix_runs_without_gradient():
    model = make_model(((1, 3), (3, 4)), {0: ['stem', 'input']})
    model.net.stem.requires_grad_(False)
    expected, _ = equation_1(model, INPUTS, TARGETS)
    live = {}
    loss = model.aux[0].loss

    def spy(x, bank, targets):
        live.update({name: bank.get(name).requires_grad for name in bank})
        return loss(x, bank, targets)

    model.aux[0].loss = spy
    train_step(model, INPUTS, TARGETS)
    assert live == dict(stem=False, input=False)
    assert_same(gradients(model), expected, 1e-12)


def test_log_values_are_detached_and_not_summed():
    returned = arm('bank').loss(INPUTS, TARGETS)
    logs = {n: v for n, v in returned.items() if n.startswith('aux')}
    assert logs.keys() == {
        f'aux{i}/{name}' for i in range(3) for name in ('cls', 'acc', 'energy')
    }
    assert not any('loss' in name for name in logs)
    assert not any(value.requires_grad for value in logs.values())
    assert returned.keys() - logs.keys() == {'loss_cls'}


def add_to_loss(aux, extra):
    """Let an auxiliary loss have another term."""
    loss = aux.loss
    aux.loss = lambda *args: {**loss(*args), 'loss_extra': extra()}


def test_auxiliary_network_that_reaches_an_earlier_module():
    model = arm('single units')
    add_to_loss(model.aux[2], lambda: model.net.stem[0].weight.sum())
    message = (
        r'loss of local module 2 reaches what it does not train: '
        r"\['net\.stem\.0\.weight'\]"
    )
    with pytest.raises(RuntimeError, match=message):
        model.loss(INPUTS, TARGETS)
    assert model.net.b[0].weight.grad is None  # not even its own module


def test_auxiliary_network_that_reaches_an_unshared_head():
    model = arm('by stage')
    add_to_loss(model.aux[0], lambda: model.scores.bias.sum())
    with pytest.raises(RuntimeError, match="module 0 .*'scores.bias'"):
        model.loss(INPUTS, TARGETS)


def test_auxiliary_network_that_does_not_reach_its_module():
    model = arm('single units')
    loss = model.aux[1].loss
    model.aux[1].loss = lambda x, *args: loss(x.detach(), *args)
    message = 'local module 1 does not reach the module'
    with pytest.raises(RuntimeError, match=message):
        model.loss(INPUTS, TARGETS)


def test_main_head_that_reaches_an_earlier_module():
    model = arm('by stage')
    with pytest.raises(RuntimeError, match=r"module 1 .*'net\.a\.0\.bias'"):
        model.loss(
            INPUTS,
            TARGETS,
            lambda f: dict(loss=f[1].sum() + model.net.a[0].bias.sum()),
        )


def test_main_head_that_reads_only_earlier_features():
    model = arm('by stage')
    with pytest.raises(RuntimeError, match='module 1 does not reach'):
        model.loss(
            INPUTS,
            TARGETS,
            lambda f: dict(
                loss=model.head.weight[:, :6] @ f[0].mean((0, 2, 3))
            ),
        )


def test_graphs_are_walked_at_the_first_step_only(monkeypatch):
    walked = []
    monkeypatch.setattr(
        'mmfba.local.trained.check_isolation',
        lambda index, *args: walked.append(index),
    )
    model = arm('single units')
    train_step(model, INPUTS, TARGETS)
    train_step(model, INPUTS, TARGETS)
    assert walked == [0, 1, 2, 3]


def test_bank_is_empty_after_a_step(model):
    sizes = []

    def main_loss(features):
        sizes.append(len(model.learner.bank))
        return model.main_loss(features, TARGETS)

    total(model.loss(INPUTS, TARGETS, main_loss)).backward()
    assert sizes == [0]  # all that read it have run
    assert len(model.learner.bank) == 0
    assert (model.learner.peak_bank_bytes > 0) == any(
        aux.reads for aux in model.aux
    )


@pytest.mark.parametrize('where', ['auxiliary', 'main head', 'backward'])
def test_step_after_an_exception(where):
    model, expected = arm('bank'), arm('bank')
    train_step(expected, INPUTS, TARGETS)

    def fail(*args):
        assert len(model.learner.bank) > 0 or where == 'main head'
        raise ZeroDivisionError

    state = copy.deepcopy(model.state_dict())
    with pytest.raises(ZeroDivisionError):
        if where == 'auxiliary':
            model.aux[1].loss = fail
            model.loss(INPUTS, TARGETS)
        elif where == 'main head':
            model.loss(INPUTS, TARGETS, fail)
        else:
            model.loss(INPUTS, TARGETS, backward=fail)
    assert len(model.learner.bank) == 0
    vars(model.aux[1]).pop('loss', None)
    model.load_state_dict(state)  # the running statistics have moved
    model.zero_grad()
    train_step(model, INPUTS, TARGETS)
    assert_same(gradients(model), gradients(expected))


def test_copy_steps_without_touching_its_original():
    model = arm('two passes')
    train_step(model, INPUTS, TARGETS)
    model.zero_grad()
    before = copy.deepcopy(model.state_dict())
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for p in twin.parameters():
            p.mul_(1.5)
    reference = copy.deepcopy(twin)
    train_step(twin, *make_batch(seed=2))
    assert all(p.grad is None for p in model.parameters())
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value), name
    expected, _ = equation_1(reference, *make_batch(seed=2))
    assert_same(gradients(twin), expected, 1e-12)


def test_lent_backward_is_used_for_local_losses_only():
    model, scaled = arm('single units'), arm('single units')
    train_step(model, INPUTS, TARGETS)
    lent = []

    def backward(loss):
        lent.append(loss)
        (8 * loss).backward()

    returned = scaled.loss(INPUTS, TARGETS, backward=backward)
    total(returned).backward()
    assert len(lent) == 3 and all(loss.dim() == 0 for loss in lent)
    for name, expected in gradients(model).items():
        factor = 1 if name.startswith(('net.c', 'head', 'scores')) else 8
        assert torch.equal(gradients(scaled)[name], factor * expected), name


@pytest.mark.parametrize('fails', [False, True])
def test_lent_backward_is_given_back(fails):
    model, expected = arm('by stage'), arm('by stage')
    lent = []
    try:
        with model.learner.lend_backward(lent.append):
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    with pytest.raises(TypeError, match=r'none is lent: .*lend_backward\('):
        model.run(INPUTS, TARGETS)
    assert model.net.stem[1].num_batches_tracked == 0  # before it begins
    train_step(model, INPUTS, TARGETS)
    train_step(expected, INPUTS, TARGETS)
    assert not lent
    assert_same(gradients(model), gradients(expected))


def test_no_backward_is_lent_where_none_is_needed():
    for model in (arm('one module'), arm('by stage', backward='summed')):
        total(model.run(INPUTS, TARGETS)).backward()
        assert all(p.grad is not None for p in model.parameters())


def test_needs_backward():
    assert arm('by stage').learner.needs_backward
    assert not arm('by stage', backward='summed').learner.needs_backward
    assert not arm('one module').learner.needs_backward


def test_modules_are_announced_in_order():
    model = arm('two passes')
    heard = []
    model.learner.on_module = heard.append
    train_step(model, INPUTS, TARGETS)
    assert heard == ['0', '1', '2']


class Saved:
    """A tensor that autograd saved for a backward."""

    def __init__(self, tensor):
        self.tensor = tensor.detach()  # else it would keep its own graph


@pytest.mark.parametrize('name', ['single units', 'bank', 'two passes'])
@pytest.mark.parametrize('backward', ['immediate', 'summed'])
def test_activations_are_freed_before_the_next_module(name, backward):
    model = arm(name, backward=backward)
    saved, alive = [], []

    def pack(tensor):
        box = Saved(tensor)
        saved.append(weakref.ref(box))
        return box

    def count(index):
        alive.append(sum(ref() is not None for ref in saved))

    model.learner.on_module = count
    hooks = torch.autograd.graph.saved_tensors_hooks
    with hooks(pack, lambda box: box.tensor):
        returned = model.loss(INPUTS, TARGETS)
    num_modules = model.learner.num_modules
    assert len(alive) == num_modules
    if backward == 'immediate':
        assert alive == [0] * num_modules
    else:  # the same measurement does find them where they stay
        assert alive[0] == 0 and all(alive[1:])
    assert any(ref() is not None for ref in saved)  # the last module's
    del returned
    assert not any(ref() is not None for ref in saved)


def test_features_nobody_reads_are_freed():
    model = arm('by stage')  # the head reads b and c
    outputs, alive = {}, {}

    def remember(name):
        def hook(module, args, output):
            outputs[name] = weakref.ref(output)

        return hook

    for name in NAMES:
        getattr(model.net, name).register_forward_hook(remember(name))

    def count(index):
        alive[index] = [n for n, ref in outputs.items() if ref() is not None]

    model.learner.on_module = count
    train_step(model, INPUTS, TARGETS)
    # What b was made of and b itself, which its hook is about to detach.
    assert alive == {'0': [], '1': ['a', 'b']}


def test_peak_of_the_bank():
    model = arm('bank')
    train_step(model, INPUTS, TARGETS)
    pixels = 4 * 6 * 8 * 8  # bytes of one channel of the batch
    # While the module of unit a runs, the bank holds input, stem, a and the
    # pooled stem; while that of b runs, a, b and the pooled stem.
    pooled = 4 * 4 * 8
    assert model.learner.peak_bank_bytes == (3 + 4 + 4) * pixels + pooled
    train_step(model, INPUTS[:2], TARGETS[:2])  # of this step alone
    assert model.learner.peak_bank_bytes == (11 * pixels + pooled) // 2
    assert len(model.learner.bank) == 0


def test_learner_holds_no_module():
    model = arm('bank')
    train_step(model, INPUTS, TARGETS)

    def tensors_and_modules(value):
        if isinstance(value, (torch.Tensor, nn.Module)):
            return [value]
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple, set)):
            return [t for v in value for t in tensors_and_modules(v)]
        return (
            tensors_and_modules(vars(value))
            if hasattr(value, '__dict__')
            else []
        )

    assert not tensors_and_modules(vars(model.learner))
