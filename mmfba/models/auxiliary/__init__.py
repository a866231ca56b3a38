# Copyright (c) mmfba authors.
from .auxiliary_network import AuxiliaryNetwork
from .fba_auxiliary import FBAAuxiliary
from .heads import SRHead, TaskHead
from .necks import SLMFPN, SLMNeck
from .unit_spec import MainModel, UnitSpec

__all__ = [
    'SLMFPN',
    'AuxiliaryNetwork',
    'FBAAuxiliary',
    'MainModel',
    'SLMNeck',
    'SRHead',
    'TaskHead',
    'UnitSpec',
]
