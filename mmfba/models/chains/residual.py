# Copyright (c) mmfba authors.
from typing import Iterable, Optional

from torch import Tensor, nn

from mmfba.local import Residual, Unit
from mmfba.local.recompute import forward_recomputed
from mmfba.type_name import qualified_name

BLOCKS = ('mmdet.BasicBlock', 'mmdet.Bottleneck')
BLOCKS += ('mmpretrain.BasicBlock', 'mmpretrain.Bottleneck')


def residual_parts(block: nn.Module) -> Optional[Residual]:
    """Branch and shortcut of a ResNet's block, as its forward runs them.

    Args:
        block (nn.Module): A residual block.

    Returns:
        Residual, optional: Its parts, None for a block of another kind.
    """
    if _definer(block) not in BLOCKS or getattr(block, 'with_plugins', False):
        return None

    def branch(x: Tensor) -> Tensor:
        x = block.relu(block.norm1(block.conv1(x)))
        x = block.norm2(block.conv2(x))
        if hasattr(block, 'conv3'):
            x = block.norm3(block.conv3(block.relu(x)))
        return block.drop_path(x) if hasattr(block, 'drop_path') else x

    return Residual(branch, block.downsample, block.relu)


def forward_blocks(
    blocks: Iterable[nn.Module], x: Tensor, recompute: bool
) -> Tensor:
    """Run blocks one after the other.

    Args:
        blocks (Iterable[nn.Module]): The blocks.
        x (Tensor): Input of the first.
        recompute (bool): Whether each is run again in the backward, see
            :func:`mmfba.local.recompute.forward_recomputed`.

    Returns:
        Tensor: Output of the last.
    """
    for block in blocks:
        if recompute:
            unit = Unit('', 0, block, (block,), residual=residual_parts(block))
            x = forward_recomputed(unit, x)
        else:
            x = block(x)
    return x


def _definer(block: nn.Module) -> str:
    """Package and name of the class that defines the block's forward."""
    cls = next(c for c in type(block).__mro__ if 'forward' in vars(c))
    return qualified_name(cls)
