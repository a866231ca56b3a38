# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from families import FAMILIES
from mmengine.config import Config

from mmfba.local import INPUT
from mmfba.models.build_model import build_model


@pytest.mark.parametrize(
    'name', ['swinir', 'rdn', 'rrdb', 'srresnet', 'nafnet', 'restormer']
)
def test_auxiliary_tails_add_the_input_where_the_network_does(name):
    """Else the features would leave out what the input tells."""
    scope, generator, size = FAMILIES[name]
    model = dict(
        type='mmfba.LocalBaseEditModel',
        generator=copy.deepcopy(generator),
        pixel_loss=dict(type='L1Loss'),
        local_learning=dict(num_modules=3),
    )
    model = build_model(Config(dict(default_scope=scope, model=model)))
    network = copy.deepcopy(model.generator)
    for parameter in network.parameters():
        parameter.data.zero_()
    image = torch.rand(1, 3, size, size, requires_grad=True)
    output = network(image).sum()
    adds = output.requires_grad and bool(
        torch.autograd.grad(output, image, allow_unused=True)[0].any()
    )
    for aux in model.local_aux:
        assert (INPUT in aux.reads) == adds
