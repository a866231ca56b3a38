# Copyright (c) mmfba authors.
import pytest
import torch
from torch import nn
from toy_networks import LongSkip

from mmfba.local.call import tensors_of
from mmfba.local.interception import Interception
from mmfba.local.last_module import run_to_last_cut
from mmfba.local.ownership import find_owners
from mmfba.local.probe import probe
from mmfba.local.recompute import recomputing
from mmfba.local.replacement import replaced
from mmfba.local.unit_finder import find_units

IMAGES = torch.rand(
    4, 3, 16, 16, generator=torch.Generator().manual_seed(0)
).double()


class Stem(nn.Module):
    """A conv and an activation, as OpenMMLab's ConvModule."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.act = nn.Tanh()

    def forward(self, x):
        return self.act(self.conv(x))


class InnerSkip(LongSkip):
    """The long skip begins inside the stem."""

    def __init__(self):
        super().__init__()
        self.first = Stem()


@pytest.mark.parametrize('recompute', [False, True])
@pytest.mark.parametrize('make', [LongSkip, InnerSkip])
def test_the_rest_for_some_images_is_that_of_the_batch(make, recompute):
    torch.manual_seed(0)
    network = make().double().eval()
    seen = probe(network, [16])
    anatomy = find_units(seen)
    stops = [i for i, u in enumerate(anatomy.units) if u.cuttable][:2]
    before = anatomy.units[: stops[-1] + 1]
    cuts = find_owners(seen, [anatomy.units[i] for i in stops]).cuts
    recomputed = anatomy.units if recompute else ()
    cuts = type(cuts)(
        **{**vars(cuts), 'bypasses': anatomy.bypasses((), recomputed)}
    )
    expected = network(IMAGES)
    learnt = []
    with replaced(recomputing(network, recomputed)):
        with Interception(network, cuts, lambda i, out: learnt.append(i)):
            rest = run_to_last_cut(
                network,
                IMAGES,
                [n for unit in before for run in unit.runs for n in run],
                [before[-1].end, *before[-1].skips],
            )
        assert learnt == [0, 1]
        for rows in (slice(0, 1), slice(1, 4)):
            found = rest(IMAGES[rows], rows)
            for got, whole in zip(tensors_of(found), tensors_of(expected)):
                torch.testing.assert_close(got, whole[rows])


def test_without_a_cut_the_network_runs_as_it_is():
    network = LongSkip().double().eval()
    rest = run_to_last_cut(network, IMAGES, [], [])
    assert rest(IMAGES[1:], slice(1, 4)).equal(network(IMAGES[1:]))
