# Copyright (c) mmfba authors.
from .auxiliary_neck import AuxiliaryNeck
from .bank_fpn import BankFPN
from .conv_level import ConvLevel
from .conv_neck import ConvNeck
from .dgl_fpn import DGLFPN
from .fusion import Fusion
from .local_fpn import LocalFPN
from .slm import SLM
from .slm_fpn import SLMFPN
from .slm_neck import SLMNeck

__all__ = [
    'AuxiliaryNeck',
    'BankFPN',
    'ConvLevel',
    'ConvNeck',
    'DGLFPN',
    'SLM',
    'SLMFPN',
    'Fusion',
    'LocalFPN',
    'SLMNeck',
]
