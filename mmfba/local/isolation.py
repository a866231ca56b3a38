# Copyright (c) mmfba authors.
from typing import Any, Dict, Sequence, Set, Tuple

from torch import Tensor


def graph_of(*roots: Tensor) -> Tuple[Set[Any], Set[Tensor]]:
    """The autograd graph that tensors were computed by.

    Args:
        *roots (Tensor): The tensors.

    Returns:
        tuple[set, set[Tensor]]: Its nodes, and the leaf tensors that a
        backward would reach.
    """
    nodes: Set[Any] = set()
    leaves: Set[Tensor] = set()
    todo = [root.grad_fn for root in roots]
    while todo:
        node = todo.pop()
        if node is None or node in nodes:
            continue
        if hasattr(node, 'variable'):
            leaves.add(node.variable)
        else:
            nodes.add(node)
            todo.extend(following for following, _ in node.next_functions)
    return nodes, leaves


def graph_leaves(*roots: Tensor) -> Set[Tensor]:
    """Leaf tensors that a backward from ``roots`` would reach.

    A leaf that passes its gradient back names what it stands for as
    ``made_of``.
    """
    found: Set[Tensor] = set()
    todo = {getattr(root, 'made_of', root) for root in roots}
    done: Set[Tensor] = set()
    while todo:
        done |= todo
        _, leaves = graph_of(*todo)
        edges = {leaf for leaf in leaves if hasattr(leaf, 'made_of')}
        found |= leaves - edges
        todo = {edge.made_of for edge in edges} - done
    return found


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
