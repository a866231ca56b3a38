# Copyright (c) mmfba authors.
from .auglocal_auxiliary import AugLocalAuxiliary
from .auxiliary_network import AuxiliaryNetwork
from .dgl_auxiliary import DGLAuxiliary
from .fba_auxiliary import FBAAuxiliary
from .greedy_auxiliary import GreedyAuxiliary
from .heads import BoxHead, SRHead, TaskHead
from .infopro_auxiliary import InfoProAuxiliary
from .man_auxiliary import MANAuxiliary
from .necks import (
    DGLFPN,
    SLMFPN,
    BankFPN,
    ConvLevel,
    ConvNeck,
    LocalFPN,
    SLMNeck,
)
from .predsim_auxiliary import PredSimAuxiliary
from .unit_spec import MainModel, UnitSpec

__all__ = [
    'DGLFPN',
    'SLMFPN',
    'AugLocalAuxiliary',
    'AuxiliaryNetwork',
    'BankFPN',
    'BoxHead',
    'ConvLevel',
    'ConvNeck',
    'DGLAuxiliary',
    'FBAAuxiliary',
    'GreedyAuxiliary',
    'InfoProAuxiliary',
    'LocalFPN',
    'MANAuxiliary',
    'MainModel',
    'PredSimAuxiliary',
    'SLMNeck',
    'SRHead',
    'TaskHead',
    'UnitSpec',
]
