# Copyright (c) mmfba authors.
import torch.nn.functional as F
from peers import CUTS, LABELS, assert_equals_reference, count, feature
from peers import peer_spec as spec
from torch import nn

from mmfba.models.auxiliary import GreedyAuxiliary


class Equations(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        pooled = F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]
        return F.cross_entropy(self.fc(pooled), LABELS)


def test_loss_and_gradients_are_those_of_the_equations():
    aux = GreedyAuxiliary(spec('layer2.0'))
    assert_equals_reference(aux, Equations(32), feature(32, 8))
    assert aux.reads == () and aux.shared_modules == ()


def test_parameter_counts():
    counts = [count(GreedyAuxiliary(spec(cut))) for cut in CUTS.values()]
    assert counts == [170, 330, 650]
