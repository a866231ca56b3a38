# Copyright (c) mmfba authors.
"""A network of four convs, made of torch alone, and a model that learns it.

What the backbone returns are the features ``b`` and ``c``, as a neck would
read them.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mmfba.local import ImageWise
from mmfba.local.learner import LocalLearner
from mmfba.local.ownership import find_owners
from mmfba.local.probe import probe
from mmfba.local.recompute import recomputing
from mmfba.local.trained import Trained
from mmfba.local.unit_finder import find_units

NAMES = ('stem', 'a', 'b', 'c')
CHANNELS = dict(input=3, stem=4, a=4, b=6, c=8)


class Backbone(nn.Module):
    """Conv, batch norm, ReLU and dropout, four times."""

    def __init__(self, dropout=0.0):
        super().__init__()
        before = CHANNELS['input']
        for name in NAMES:
            conv = nn.Conv2d(
                before, CHANNELS[name], 3, 2 if name == 'c' else 1, 1
            )
            norm = nn.BatchNorm2d(CHANNELS[name])
            block = nn.Sequential(conv, norm, nn.ReLU(), nn.Dropout(dropout))
            self.add_module(name, block)
            before = CHANNELS[name]

    def forward(self, x):
        b = self.b(self.a(self.stem(x)))
        return b, self.c(b)


class Auxiliary(nn.Module):
    """A linear classifier of the pooled cut and of what it reads."""

    def __init__(self, cut, reads=(), shared=None):
        super().__init__()
        self.reads = tuple(reads)
        self.local = nn.Linear(CHANNELS[cut], 5)
        self.banked = nn.ModuleList(
            nn.Linear(CHANNELS[name.removesuffix('.pooled')], 5)
            for name in self.reads
        )
        self._shared = (shared,) if shared else ()  # no submodule

    @property
    def shared_modules(self):
        return self._shared

    def loss(self, x, bank, targets):
        return self._loss((x, *map(bank.get, self.reads)), targets)

    def image_wise(self, x, bank, targets):
        return ImageWise(
            (x, *map(bank.get, self.reads)),
            lambda features, rows: share(
                self._loss(features, targets[rows]), rows, targets
            ),
        )

    def _loss(self, features, targets):
        x, *entries = features
        logits = self.local(x.mean(dim=(2, 3)))
        for layer, entry in zip(self.banked, entries):
            pooled = entry if entry.dim() == 2 else entry.mean(dim=(2, 3))
            logits = logits + layer(pooled)
        for head in self._shared:
            logits = head(logits)
        hits = (logits.argmax(1) == targets).double().mean()
        return dict(
            loss_cls=F.cross_entropy(logits, targets),
            acc=hits,
            energy=(x * x).mean(),  # logged only, but has a graph
        )


class Model(nn.Module):
    """The backbone, a head that reads ``b`` and ``c``, and the learner."""

    def __init__(
        self,
        modules=((0, 4),),
        reads=None,
        dropout=0.0,
        shared=False,
        checkpoint=(),
        **options,
    ):
        super().__init__()
        reads = reads or {}
        self.net = Backbone(dropout)
        self.ranges = modules
        self.head = nn.Linear(CHANNELS['b'] + CHANNELS['c'], 5)
        self.scores = nn.Linear(5, 5)
        self.aux = nn.ModuleList(
            Auxiliary(
                NAMES[stop - 1], reads.get(i, ()), self.scores if shared else 0
            )
            for i, (_, stop) in enumerate(modules[:-1])
        )
        last_reader = {name: i for i in sorted(reads) for name in reads[i]}
        seen = probe(self.net, [16])
        anatomy = find_units(seen)
        units = anatomy.units
        cut = [units[stop - 1] for _, stop in modules[:-1]]
        self.recomputed = [
            unit for i in checkpoint for unit in units[slice(*modules[i])]
        ]
        owners = find_owners(seen, cut)
        self.owned = owners.owned
        self.learner = LocalLearner(
            owners.cuts,
            anatomy.features,
            [unit.name for unit in cut],
            last_reader,
            **options,
        )
        self.double()

    def main_loss(self, features, targets):
        pooled = [f.mean(dim=(2, 3)) for f in features]
        logits = self.scores(self.head(torch.cat(pooled, dim=1)))
        return dict(loss_cls=F.cross_entropy(logits, targets))

    def plain_loss(self, inputs, targets):
        """What end-to-end training minimises."""
        return self.main_loss(self.net(inputs), targets)

    def image_wise_loss(self, targets):
        return lambda features, rows: share(
            self.main_loss(features, targets[rows]), rows, targets
        )

    def loss(
        self, inputs, targets, main_loss=None, backward=torch.Tensor.backward
    ):
        """What local learning returns; local backwards run inside."""
        with self.learner.lend_backward(backward):
            return self.run(inputs, targets, main_loss)

    def run(self, inputs, targets, main_loss=None):
        """The same with what is lent, if anything is."""
        main_loss = main_loss or (lambda f: self.main_loss(f, targets))
        trained = Trained(
            self,
            self.net,
            self.owned,
            self.aux,
            targets,
            recomputing(self.net, self.recomputed),
        )
        return self.learner.run(
            trained,
            inputs,
            lambda: self._plain_loss(inputs, targets, main_loss),
        )

    def _plain_loss(self, inputs, targets, main_loss):
        features = self.net(inputs)
        if not self.learner.by_chunks:
            return main_loss(features)
        return ImageWise(features, self.image_wise_loss(targets))


def share(losses, rows, targets):
    """What some images add to the mean over all."""
    weight = len(targets[rows]) / len(targets)
    return dict(losses, loss_cls=losses['loss_cls'] * weight)


def make_model(*args, seed=0, **kwargs):
    torch.manual_seed(seed)
    return Model(*args, **kwargs)


def make_batch(seed=1):
    """Images, which require no gradient, and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 6, 8, generator=generator, dtype=torch.float64)
    return images, torch.tensor([0, 3, 1, 4])


def total(losses):
    """Sum of what the caller is to propagate."""
    return sum(v for name, v in losses.items() if 'loss' in name)


def train_step(model, inputs, targets):
    losses = model.loss(inputs, targets)
    total(losses).backward()
    return losses


def gradients(model):
    return {n: p.grad for n, p in model.named_parameters()}


def assert_same(got, expected, tolerance=0.0):
    """Equal gradients by name; bit for bit with tolerance 0."""
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        if value is None:
            assert got[name] is None, name
        elif tolerance:
            assert got[name] is not None, name
            error = (got[name] - value).abs().max()
            assert error <= tolerance * (1 + value.abs().max()), name
        else:
            assert torch.equal(got[name], value), name
