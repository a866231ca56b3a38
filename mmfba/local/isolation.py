# Copyright (c) mmfba authors.
from typing import Dict, Sequence, Set

from torch import Tensor


def graph_leaves(*roots: Tensor) -> Set[Tensor]:
    """Leaf tensors that a backward from ``roots`` would reach.

    A leaf that hands its gradient on names what it stands for as ``made_of``.
    """
    leaves: Set[Tensor] = set()
    sources = [getattr(root, 'made_of', root) for root in roots]
    nodes, seen = [source.grad_fn for source in sources], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, 'variable'):
            source = getattr(node.variable, 'made_of', None)
            if source is None:
                leaves.add(node.variable)
            else:
                nodes.append(source.grad_fn)
        nodes.extend(following for following, _ in node.next_functions)
    return leaves


def check_isolation(
    index: int,
    roots: Sequence[Tensor],
    own: Set[Tensor],
    allowed: Set[Tensor],
    names: Dict[Tensor, str],
) -> None:
    """Check that a loss reaches its own module and nothing foreign.

    Args:
        index (int): Index of the local module.
        roots (Sequence[Tensor]): What its backward starts from: its loss.
        own (set[Tensor]): Parameters of the module's units.
        allowed (set[Tensor]): All that the loss may reach.
        names (dict[Tensor, str]): Names of the model's parameters.

    Raises:
        RuntimeError: If a gradient would cross a cut, or would not reach the
            module at all.
    """
    leaves = graph_leaves(*roots)
    foreign = sorted(
        names.get(leaf, f'a tensor of shape {tuple(leaf.shape)}')
        for leaf in leaves - allowed
    )
    if foreign:
        raise RuntimeError(
            f'The loss of local module {index} reaches what it does not '
            f'train: {foreign[:5]}. Only the module, its auxiliary network '
            'and a head shared by weights may get its gradient'
        )
    if not leaves & own:
        raise RuntimeError(
            f'The loss of local module {index} does not reach the module: '
            'it would not be trained'
        )
