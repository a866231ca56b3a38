# Copyright (c) mmfba authors.
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmfba.analysis.meta_shapes import NORMS, OnMeta


class Record(TorchDispatchMode):
    """What the operators return that are in NORMS, by PyTorch and by us."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func in NORMS:
            self.seen[func] = result, NORMS[func](*args, **(kwargs or {}))
        return result


def described(results):
    results = results if isinstance(results, tuple) else (results,)
    return [
        None if r is None else (r.shape, r.stride(), r.dtype, r.device.type)
        for r in results
    ]


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('affine', [True, False])
@pytest.mark.parametrize(
    'make',
    [
        lambda affine: nn.BatchNorm2d(8, affine=affine),
        lambda affine: nn.GroupNorm(2, 8, affine=affine),
        lambda affine: nn.LayerNorm((4, 6), elementwise_affine=affine),
    ],
    ids=['batch', 'group', 'layer'],
)
def test_shapes_are_pytorch_s(make, affine, dtype):
    x = torch.empty(2, 8, 4, 6, device='meta', dtype=dtype, requires_grad=True)
    with Record() as record:
        make(affine).to('meta', dtype)(x).relu().sum().backward()
    assert len(record.seen) == 2
    for func, (expected, found) in record.seen.items():
        expected, found = described(expected), described(found)
        if 'group_norm' in func._schema.name:  # in half precision narrower
            expected, found = (
                [r and r[:2] for r in x] for x in (expected, found)
            )
        assert found == expected, func


def test_the_layout_is_that_of_the_input():
    x = torch.empty(2, 8, 4, 6, device='meta', requires_grad=True)
    with Record() as record:
        y = nn.BatchNorm2d(8).to('meta')(x).relu()
        y.permute(0, 2, 3, 1).reshape(-1, 8).exp().sum().backward()
    for func, (expected, found) in record.seen.items():
        assert described(found) == described(expected), func


def test_pointwise_results_are_remembered_by_all_that_matters():
    x = torch.empty(2, 3, 4, device='meta')
    wide, row = x.double(), torch.empty(4, device='meta')
    runs = [
        lambda: x + row,
        lambda: x + wide,
        lambda: x.transpose(0, 2) + x.transpose(0, 2),
        lambda: x > 1,
        lambda: x.long() + 1,
        lambda: x.long() + 1.0,
        lambda: x.long() * True,
        lambda: torch.where(x > 0, x, row),
        lambda: row + x[:, :, :1],
        lambda: x.half() * 2.0,
        lambda: x.sigmoid().clamp(min=0.5).exp(),
    ]
    expected = [run() for run in runs]
    for _ in range(2):  # the second time they are known
        with OnMeta():
            found = [run() for run in runs]
        assert list(map(described, found)) == list(map(described, expected))
        storages = {t.untyped_storage()._cdata for t in [x, row, *found]}
        assert len(storages) == 2 + len(runs)


def test_in_place_operators_change_what_they_are_given():
    x = torch.empty(2, 3, device='meta')
    with OnMeta():
        for _ in range(2):
            assert x.add_(1) is x and x.relu_() is x
