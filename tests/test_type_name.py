# Copyright (c) mmfba authors.
import pytest

from mmfba.type_name import qualified_name, type_name


class CheckpointHook:
    """As a user might write one, in a module of their own."""


@pytest.mark.parametrize(
    'kind, name, qualified',
    [
        ('FPN', 'FPN', 'FPN'),
        ('mmdet.FPN', 'FPN', 'mmdet.FPN'),
        ('mmdet.models.necks.fpn.FPN', 'FPN', 'mmdet.FPN'),
        ('mmfba.SLMFPN', 'mmfba.SLMFPN', 'mmfba.SLMFPN'),
        ('mmfba.models.SLMFPN', 'mmfba.SLMFPN', 'mmfba.SLMFPN'),
        ('mypackage.FPN', 'mypackage.FPN', 'mypackage.FPN'),
        (None, 'None', 'None'),
    ],
)
def test_of_strings(kind, name, qualified):
    assert type_name(kind) == name
    assert qualified_name(kind) == qualified


def test_of_classes_and_functions():
    from mmengine import hooks

    assert type_name(hooks.CheckpointHook) == 'CheckpointHook'
    assert qualified_name(hooks.CheckpointHook) == 'mmengine.CheckpointHook'
    assert type_name(type_name) == 'mmfba.type_name'
    # What is named alike elsewhere is something else.
    package = __name__.split('.')[0]
    assert type_name(CheckpointHook) == f'{package}.CheckpointHook'
