# Copyright (c) mmfba authors.
import copy
import operator
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from mmfba.registry import HOOKS

from ..shards import is_shard, whole

_LEAVES = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    torch.Size,
    torch.dtype,
    torch.device,
)
_DICTS = (dict, OrderedDict)  # torch 2.1 reads no Counter
_SEQUENCES = (list, tuple, set)
_HISTORY = 'mmengine.HistoryBuffer'


def _is_same(new, old) -> bool:
    return len(new) == len(old) and all(map(operator.is_, new, old))


def _plain_dict(value: dict, path: str) -> dict:
    # A scheduler keeps functions only as attributes that its constructor
    # sets again, and its load_state_dict leaves alone what is missing.
    is_scheduler = path.startswith("checkpoint['param_schedulers']")
    plain = {
        _plain(k, f'{path} key {k!r}'): _plain(v, f'{path}[{k!r}]')
        for k, v in value.items()
        if not (is_scheduler and callable(v))
    }
    if type(value) not in _DICTS:
        return plain
    if _is_same(plain, value) and _is_same(plain.values(), value.values()):
        return value
    # A copy also keeps the attributes, as `_metadata` of a state dict.
    result = copy.copy(value)
    result.clear()
    result.update(plain)
    return result


def _plain(value: Any, path: str) -> Any:
    """The value as torch reads it with ``weights_only=True``.

    What is plain already is returned itself, so that the caller's objects are
    never changed and tensors never copied.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        try:
            return torch.from_numpy(value.copy())
        except (TypeError, ValueError):  # text, objects, byte orders
            value = value.tolist()
    if is_shard(value):
        return whole(value)
    if isinstance(value, torch.Tensor) or type(value) in _LEAVES:
        return value
    if isinstance(value, dict):
        return _plain_dict(value, path)
    for kind in _SEQUENCES:
        if isinstance(value, kind):
            plain = [_plain(v, f'{path}[{i}]') for i, v in enumerate(value)]
            if type(value) is kind and _is_same(plain, value):
                return value
            return kind(plain)
    raise TypeError(
        f'{path} is a {type(value).__module__}.{type(value).__qualname__}, '
        'which torch.load(weights_only=True) refuses to read. Keep a number, '
        'str, list, tuple, dict or tensor there, or, in the message hub, set '
        'it with `resumed=False` to leave it out of checkpoints.'
    )


def _pack_history(buffer: HistoryBuffer) -> dict:
    log_history, count_history = buffer.data
    return dict(
        type=_HISTORY,
        log_history=torch.from_numpy(log_history.copy()),
        count_history=torch.from_numpy(count_history.copy()),
        max_length=buffer.max_length,
    )


def _unpack_history(packed: dict) -> HistoryBuffer:
    # On resume the tensors may have been mapped to a GPU.
    return HistoryBuffer(
        packed['log_history'].cpu().numpy(),
        packed['count_history'].cpu().numpy(),
        packed['max_length'],
    )


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Write checkpoints that ``torch.load(weights_only=True)`` can read.

    A training checkpoint of MMEngine 0.10 holds ``HistoryBuffer`` objects and
    often NumPy scalars. Since PyTorch 2.6 ``torch.load`` refuses both by
    default, so that MMEngine cannot resume from its own files. This hook
    writes histories as dicts of tensors, NumPy scalars as Python numbers,
    NumPy arrays as tensors (text as lists), and subclasses of dict, list and
    tuple as these; on loading it makes the histories ``HistoryBuffer`` again.
    Without it MMEngine still resumes from such a file and only loses the
    history that smoothed logs use.

    Note:
        The priority is the lowest, so that what other hooks (``EMAHook``) put
        into the checkpoint is converted as well. A custom hook that adds to
        checkpoints must not have priority ``'LOWEST'`` itself.

    Examples:
        >>> default_hooks = dict(
        >>>     plain_checkpoint=dict(type='mmfba.PlainCheckpointHook'))
    """

    priority = 'LOWEST'

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Replace the entries that are not plain; what they refer to stays.

        Raises:
            TypeError: If a value has no plain form. The message names its
                key path and type.
        """
        if 'message_hub' in checkpoint:
            hub = dict(checkpoint['message_hub'])
            hub['log_scalars'] = {
                key: _pack_history(value)
                if isinstance(value, HistoryBuffer)
                else value
                for key, value in hub['log_scalars'].items()
            }
            checkpoint['message_hub'] = hub
        for key, value in checkpoint.items():
            checkpoint[key] = _plain(value, f'checkpoint[{key!r}]')

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Make the histories of this hook's files ``HistoryBuffer`` again."""
        hub = checkpoint.get('message_hub')
        if not isinstance(hub, dict):  # old files hold a whole MessageHub
            return
        for key, value in hub['log_scalars'].items():
            if isinstance(value, dict) and value.get('type') == _HISTORY:
                hub['log_scalars'][key] = _unpack_history(value)
