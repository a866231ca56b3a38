# Copyright (c) mmfba authors.
"""Loss dicts as OpenMMLab's heads return them: tensors or lists of tensors.

Every value whose key has the word "loss" is part of the total, as in
``mmengine.model.BaseModel.parse_losses``; the rest is only logged.
"""

from typing import Any, Callable, Dict, Iterable

from torch import Tensor


def sum_losses(losses: Dict[str, Any]) -> Tensor:
    """Total of a loss dict as ``parse_losses`` computes it: a scalar.

    Raises:
        ValueError: If no key has the word "loss".
    """
    terms = [
        t.mean() if t.dim() else t  # each is a kernel to launch
        for name, v in losses.items()
        if 'loss' in name
        for t in (v if isinstance(v, (list, tuple)) else (v,))
    ]
    if not terms:
        raise ValueError(
            f'A local loss has no key with the word "loss": {list(losses)}'
        )
    return sum(terms)


def weigh_losses(losses: Dict[str, Any], weight: float) -> Dict[str, Any]:
    """Multiply the terms of the total by ``weight``."""
    if weight == 1:
        return losses
    return {
        name: _map(lambda t: weight * t, v) if 'loss' in name else v
        for name, v in losses.items()
    }


def add_losses(total: Dict[str, Tensor], losses: Dict[str, Any]) -> None:
    """Add the terms of a loss dict, detached, to those of ``total``."""
    for name in losses:
        if 'loss' in name:
            value = sum_losses({name: losses[name]}).detach()
            total[name] = total[name] + value if name in total else value


def log_values(losses: Dict[str, Any], prefix: str) -> Dict[str, Any]:
    """Detached values under keys that ``parse_losses`` does not sum.

    ``loss_cls`` becomes ``<prefix>cls`` and ``loss`` becomes
    ``<prefix>total``.
    """
    logs = {}
    for name, value in losses.items():
        key = name.replace('loss', '').strip('_.') or 'total'
        logs[prefix + key] = _map(lambda t: t.detach(), value)
    return logs


def reach_with_zero_gradient(
    losses: Dict[str, Any], parameters: Iterable[Tensor]
) -> Dict[str, Any]:
    """Let the returned losses reach ``parameters`` with gradient zero.

    DistributedDataParallel reduces a gradient when the final backward
    reaches its parameter; the local backwards ran too early for it.
    """
    parameters = list(parameters)
    if not parameters:
        return losses
    name = next(name for name in losses if 'loss' in name)
    zero = 0 * sum(p.sum() for p in parameters)
    value = losses[name]
    touched = (
        [value[0] + zero, *value[1:]]
        if isinstance(value, (list, tuple))
        else value + zero
    )
    return {**losses, name: touched}


def _map(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [function(t) for t in value]
    return function(value) if isinstance(value, Tensor) else value
