# Copyright (c) mmfba authors.
"""One adapter per backbone family: this backbone as a Chain.

Adapters find their backbone by name, so that importing them needs none of
the OpenMMLab libraries.
"""

from .builder import build_chain, register_chain, with_lean_stem
from .edsr import edsr_chain
from .msr_resnet import msr_resnet_chain
from .resnet import cifar_resnet_chain, resnet_chain

__all__ = [
    'build_chain',
    'cifar_resnet_chain',
    'edsr_chain',
    'msr_resnet_chain',
    'register_chain',
    'resnet_chain',
    'with_lean_stem',
]
