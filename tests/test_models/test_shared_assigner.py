# Copyright (c) mmfba authors.
import copy
import pickle

import pytest
import torch
from local_models import bare_loss, build, data, gradients

from mmfba.models.shared_assigner import SharedAssigner


def count_calls(model, monkeypatch):
    assigner, calls = model.bbox_head.assigner.assigner, []
    assign = assigner.assign

    def counted(*args, **kwargs):
        calls.append(args)
        return assign(*args, **kwargs)

    monkeypatch.setattr(assigner, 'assign', counted)
    return calls


@pytest.mark.parametrize('chunk', [None, 1])
def test_each_image_is_assigned_once(chunk, monkeypatch):
    model = build('detection', num_modules=3, chunk=chunk)
    calls = count_calls(model, monkeypatch)
    batch = data(model, 'detection')
    for _ in range(2):
        bare_loss(model, batch)
        assert len(calls) == len(batch['data_samples'])


def test_losses_and_gradients_are_those_of_assigners_of_their_own():
    shared = build('detection', num_modules=3)
    own = build('detection', num_modules=3)
    plain = own.bbox_head.assigner.assigner
    for head in (own.bbox_head, *(aux.head for aux in own.local_aux)):
        head.assigner = copy.deepcopy(plain)
    for model in (shared, own):
        losses = bare_loss(model, data(model, 'detection'))
        model.parse_losses(losses)[0].backward()
    expected = gradients(own)
    for name, grad in gradients(shared).items():
        assert torch.equal(grad, expected[name]), name


def test_other_priors_are_assigned_anew(monkeypatch):
    """The same boxes in an image of another size."""
    model = build('detection', num_modules=2)
    calls = count_calls(model, monkeypatch)
    batch = data(model, 'detection')
    bare_loss(model, batch)
    larger = torch.nn.functional.pad(batch['inputs'], (0, 64, 0, 64))
    for sample in batch['data_samples']:
        shape = tuple(larger.shape[-2:])
        sample.set_metainfo(dict(pad_shape=shape, img_shape=shape))
    bare_loss(model, dict(batch, inputs=larger))
    assert len(calls) == 2 * len(batch['data_samples'])


def test_nothing_outlives_the_batch():
    model = build('detection', num_modules=2)
    batch = data(model, 'detection')
    bare_loss(model, batch)
    results = model.bbox_head.assigner._results
    assert len(results) == len(batch['data_samples'])
    del batch
    assert not results


def test_copies_are_on_their_own():
    model = build('detection', num_modules=2)
    bare_loss(model, data(model, 'detection'))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assigner = twin.bbox_head.assigner
        assert assigner is twin.local_aux[0].head.assigner
        assert assigner is not model.bbox_head.assigner
        assert not assigner._results


def test_plain_network_keeps_its_assigner():
    model = build('detection', num_modules=1)
    assert not isinstance(model.bbox_head.assigner, SharedAssigner)
