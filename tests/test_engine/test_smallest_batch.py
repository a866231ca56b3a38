# Copyright (c) mmfba authors.
import pytest
from local_models import build
from mmengine.dataset import DefaultSampler, InfiniteSampler
from tiny_runner import make_runner
from torch.utils.data import DataLoader

from mmfba.engine.smallest_batch import smallest_batch

DGL = dict(type='mmfba.DGLAuxiliary', variant='original')


@pytest.mark.parametrize(
    'length, batch_size, drop_last',
    [(9, 4, False), (9, 4, True), (8, 4, False), (3, 4, False), (5, 1, False)],
)
@pytest.mark.parametrize('sampler', [None, DefaultSampler])
def test_the_smallest_batch_is_one_that_comes(
    length, batch_size, drop_last, sampler
):
    items = list(range(length))
    loader = DataLoader(
        items,
        batch_size,
        sampler=sampler and sampler(items),
        drop_last=drop_last,
    )
    assert smallest_batch(loader) == min(len(batch) for batch in loader)


def test_an_infinite_sampler_leaves_nothing():
    items = list(range(9))
    loader = DataLoader(items, 4, sampler=InfiniteSampler(items))
    assert smallest_batch(loader) == 4


def runner(tmp_path, batch_size, auxiliary=DGL, **loader):
    model = build('classification', num_modules=3, auxiliary=auxiliary)
    made = make_runner(model, tmp_path)
    made._train_dataloader.update(batch_size=batch_size, **loader)
    return made


@pytest.mark.parametrize('batch_size', [3, 1])  # of four images
def test_a_batch_of_one_is_refused_before_training(tmp_path, batch_size):
    made = runner(tmp_path, batch_size)
    with pytest.raises(ValueError, match='DGLAuxiliary .*drop_last=True'):
        made.train()
    assert made.iter == 0


@pytest.mark.parametrize(
    'auxiliary, loader', [(DGL, dict(drop_last=True)), (dict(), dict())]
)
def test_others_train(tmp_path, auxiliary, loader):
    made = runner(tmp_path, 3, auxiliary, **loader)
    made.train()
    assert made.iter == (1 if loader else 2)
