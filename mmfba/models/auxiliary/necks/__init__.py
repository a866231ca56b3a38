# Copyright (c) mmfba authors.
from .fusion import Fusion
from .slm import SLM
from .slm_fpn import SLMFPN
from .slm_neck import SLMNeck

__all__ = ['SLM', 'SLMFPN', 'Fusion', 'SLMNeck']
