# Copyright (c) mmfba authors.
from functools import partial
from typing import Callable, Iterable, Optional

import torch
from torch import Tensor, nn

from mmfba.local.recompute import recomputed
from mmfba.type_name import definer

BLOCKS = ('mmdet.BasicBlock', 'mmdet.Bottleneck')
BLOCKS += ('mmpretrain.BasicBlock', 'mmpretrain.Bottleneck')


def recomputed_by_path(
    block: nn.Module,
) -> Optional[Callable[[Tensor], Tensor]]:
    """Forward of a ResNet's block that keeps its input for the backward.

    Its two paths are recomputed one after the other: what is alive in the
    backward is that of one of them. None for a block of another kind.
    """
    known = definer(block, 'forward') in BLOCKS
    if known and not getattr(block, 'with_plugins', False):
        return partial(_by_path, block)
    return None


def forward_blocks(
    blocks: Iterable[nn.Module], x: Tensor, recompute: bool
) -> Tensor:
    """Run blocks one after the other; with ``recompute`` each is run again in
    the backward."""
    for block in blocks:
        forward = block
        if recompute:
            again = partial(recomputed, block, [block])
            forward = recomputed_by_path(block) or again
        x = forward(x)
    return x


def _by_path(block: nn.Module, x: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return type(block).forward(block, x)
    out = recomputed(partial(_branch, block), [block], x)
    if block.downsample is not None:
        out += recomputed(block.downsample, [block], x)
    else:
        out += x
    return block.relu(out)


def _branch(block: nn.Module, x: Tensor) -> Tensor:
    x = block.relu(block.norm1(block.conv1(x)))
    x = block.norm2(block.conv2(x))
    if hasattr(block, 'conv3'):
        x = block.norm3(block.conv3(block.relu(x)))
    return block.drop_path(x) if hasattr(block, 'drop_path') else x
