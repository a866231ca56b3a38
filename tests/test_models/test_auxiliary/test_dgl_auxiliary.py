# Copyright (c) mmfba authors.
import math

import pytest
import torch.nn.functional as F
from peers import CUTS, LABELS, assert_equals_reference, count, feature
from peers import peer_spec as spec
from torch import nn

from mmfba.models.auxiliary import DGLAuxiliary


class Equations(nn.Module):
    """Each variant, written out."""

    def __init__(self, variant, channels):
        super().__init__()
        self.variant = variant
        c = 128 if variant == 'manpp' else channels
        bias = variant != 'auglocal'
        widths = {
            'original': [4 * c] * 4,
            'auglocal': [4 * c] * 3,
            'manpp': [c, 512, 512, 512],
        }[variant]
        self.convs, self.fcs = nn.ModuleList(), nn.ModuleList()
        for i in range(3):
            self.convs.append(
                nn.Conv2d(c if i else channels, c, 1, bias=False)
            )
            self.convs.append(nn.BatchNorm2d(c))
        for before, after in zip(widths, widths[1:]):
            self.fcs.append(nn.Linear(before, after, bias=bias))
            self.fcs.append(nn.BatchNorm1d(after))
        self.last = nn.Linear(widths[-1], 10)

    def forward(self, x):
        manpp = self.variant == 'manpp'
        side = 8 if manpp else math.ceil(x.shape[-1] / 4)
        x = F.adaptive_avg_pool2d(x, (side, side))
        for conv, norm in zip(self.convs[::2], self.convs[1::2]):
            x = F.relu(norm(conv(x)))
        x = F.adaptive_avg_pool2d(x, 1 if manpp else 2).flatten(1)
        for fc, norm in zip(self.fcs[::2], self.fcs[1::2]):
            x = F.relu(norm(fc(x)))
        return F.cross_entropy(self.last(x), LABELS)


@pytest.mark.parametrize('variant', ['original', 'auglocal', 'manpp'])
@pytest.mark.parametrize('size', [16, 18])
def test_loss_and_gradients_are_those_of_the_equations(variant, size):
    aux = DGLAuxiliary(spec('stem'), variant)
    assert_equals_reference(aux, Equations(variant, 16), feature(16, size))


@pytest.mark.parametrize(
    'variant, counts',
    [
        # Without the original's unused batch normalisation.
        ('original', [14378, 54858, 214154]),
        ('auglocal', [9962, 37834, 147338]),
        ('manpp', [635146, 637194, 641290]),
    ],
)
def test_parameter_counts(variant, counts):
    assert counts == [
        count(DGLAuxiliary(spec(cut), variant)) for cut in CUTS.values()
    ]


def test_wrong_variant_is_named():
    with pytest.raises(ValueError, match=r"variant='DGL': choose from \('ori"):
        DGLAuxiliary(spec('stem'), 'DGL')
