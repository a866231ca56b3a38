# Copyright (c) mmfba authors.
"""Ways to train one network, as changes of its config."""

import copy
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

if TYPE_CHECKING:  # --help lists the tokens, and needs no torch for that
    from mmengine.config import Config

from mmfba.local_config import LOCALISABLE, is_local
from mmfba.type_name import type_name

TUNED = 'balanced+chunk+checkpoint'
NUMBERED = dict(accum=True, k=True, width=True)
NUMBERED.update(chunk=False, checkpoint=False)
"""Tokens with a number, and whether they need it."""
ANY_MODEL = {'local', 'accum', 'cp', 'lean'}
"""Tokens that change nothing of local learning."""
LOCAL = 'model.local_learning'
LEAN = 'mmfba.LeanSigmoidFocalLoss'
Changes = Dict[str, Any]
"""New values of a config by their dotted keys."""


def make_arm(
    cfg: 'Config', arm: str, batch_size: int, shape: Tuple[int, int]
) -> 'Config':
    """The config of an arm.

    Args:
        cfg (Config): A config of a local model.
        arm (str): Tokens joined by ``+``. ``bp`` (K=1, the plain network) or
            ``local`` (the config's own modules), ``bp`` if neither is given;
            ``k<n>`` (K modules), ``balanced`` (the cuts of least peak),
            ``chunk<n>`` (neck and head n images at a time, 1 without a
            number), ``fast`` (the main head on all levels at once),
            ``checkpoint<n>`` (inside the first n modules, all without a
            number), ``stem`` (lean), ``width<n>`` (SLM of n percent of the
            backbone's channels), ``lean`` (focal loss), ``cp`` (upstream's
            ``with_cp``), and ``accum<n>`` (the batch in n micro-batches).
            ``tuned`` is ``balanced+chunk+checkpoint``.
        batch_size (int): Images in the batch.
        shape (tuple[int, int]): Height and width of the network's input.

    Returns:
        Config: A changed copy.

    Raises:
        ValueError: If a token is unknown or does not fit, or the model does
            no local learning; ``local`` with ``accum<n>``, ``cp`` and ``lean``
            leaves that as it is.
    """
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(arm_changes(cfg, arm, batch_size, shape))
    return cfg


def arm_changes(
    cfg: 'Config', arm: str, batch_size: int, shape: Tuple[int, int]
) -> Changes:
    """What :func:`make_arm` changes, with the same arguments.

    Returns:
        dict: New values by their dotted keys; a dict among them has
        ``_delete_`` where it replaces another.
    """
    cfg, changes = copy.deepcopy(cfg), {}
    tokens = arm.replace('tuned', TUNED).split('+')
    if 'local' not in tokens:
        tokens = ['bp', *(token for token in tokens if token != 'bp')]
    pairs = [re.match(r'(\D*)(.*)', token).groups() for token in tokens]
    if not {name for name, _ in pairs} <= ANY_MODEL:
        check_local(cfg)
    for token, (name, number) in zip(tokens, pairs):
        needed = NUMBERED.get(name, False)
        if (
            name not in TOKENS
            or (needed and not number)
            or (number and name not in NUMBERED)
            or not (number or '0').isdigit()
        ):
            raise ValueError(
                f'arm {arm!r}: no token {token!r}; join some of '
                f'{[*TOKENS, "tuned"]} by +, {[*NUMBERED]} with a number'
            )
        found = TOKENS[name](cfg, int(number or 0), batch_size, shape)
        changes.update(found)
        cfg.merge_from_dict(copy.deepcopy(found))  # it takes _delete_ out
    return changes


def check_local(cfg: 'Config') -> None:
    """Refuse a config whose model does no local learning.

    Args:
        cfg (Config): The config.

    Raises:
        ValueError: It names the model.
    """
    if not is_local(cfg):
        kind = type_name(cfg.model.get('type'))
        raise ValueError(
            f'model.type={kind!r} does no local learning: {LOCALISABLE}'
        )


def describe_tokens() -> str:
    """The tokens as the help of a command line lists them."""
    numbers = {True: '<n>', False: '[<n>]', None: ''}
    names = [name + numbers[NUMBERED.get(name)] for name in TOKENS]
    return ', '.join([*names, f'tuned (={TUNED})'])


def focal_loss_key(part: Any, path: str = 'model') -> Optional[str]:
    """Dotted key of the first sigmoid focal loss of mmdet.

    Args:
        part (dict | list): Where to look.
        path (str): Its own key. Defaults to ``'model'``.
    """
    if isinstance(part, dict):
        kind = type_name(part.get('type')).rpartition('.')[2]
        if kind == 'FocalLoss' and part.get('use_sigmoid', True):
            return path
        items = part.items()
    else:
        items = enumerate(part) if isinstance(part, (list, tuple)) else ()
    found = (focal_loss_key(item, f'{path}.{key}') for key, item in items)
    return next(filter(None, found), None)


def _replacing(parent: Any, key: str, **value: Any) -> Dict[str, Any]:
    """A dict that nothing of another one is merged into."""
    return dict(value, _delete_=True) if key in parent else value


def _lean(cfg: 'Config', *_) -> Changes:
    key = focal_loss_key(cfg.model)
    if key is None:
        raise ValueError(
            f'arm lean: {type_name(cfg.model.type)} has no sigmoid focal loss'
        )
    return {f'{key}.type': LEAN}


def _cp(cfg: 'Config', *_) -> Changes:
    if 'backbone' not in cfg.model:
        raise ValueError(
            f'arm cp: {type_name(cfg.model.type)} has no backbone with '
            "upstream's with_cp: use 'checkpoint'"
        )
    options = cfg.model.get('local_learning')
    if options is not None and options.get('num_modules') != 1:
        raise ValueError(
            "arm cp: upstream's with_cp skips the first block "
            "after a cut: use 'local+checkpoint'"
        )
    return {'model.backbone.with_cp': True}


def _num_modules(cfg: 'Config', count: int, *_) -> Changes:
    changes = {f'{LOCAL}.num_modules': count}
    if isinstance(cfg.model.local_learning.get('partition'), (list, tuple)):
        # Explicit cuts have a K of their own.
        changes[f'{LOCAL}.partition'] = 'memory'
    return changes


def _balanced(
    cfg: 'Config', _: int, batch_size: int, shape: Tuple[int, int]
) -> Changes:
    cuts = cfg.model.local_learning.get('partition')
    known = isinstance(cuts, (list, tuple))
    count = {f'{LOCAL}.num_modules': len(cuts) + 1} if known else {}
    partition = _replacing(
        cfg.model.local_learning,
        'partition',
        type='mmfba.BalancedPartition',
        input_shape=shape,
        batch_size=batch_size,
    )
    return {**count, f'{LOCAL}.partition': partition}


def _accumulate(cfg: 'Config', count: int, batch_size: int, *_) -> Changes:
    if not 1 < count <= batch_size:
        raise ValueError(
            f'arm accum{count}: a batch of {batch_size} images makes 2 to '
            f'{batch_size} micro-batches'
        )
    return {'optim_wrapper.accumulative_counts': count}


TOKENS: Dict[str, Callable[..., Changes]] = dict(
    bp=lambda cfg, *_: {
        LOCAL: _replacing(cfg.model, 'local_learning', num_modules=1)
    },
    local=lambda *_: {},
    k=_num_modules,
    balanced=_balanced,
    chunk=lambda _, size, *__: {f'{LOCAL}.chunk': size or 1},
    checkpoint=lambda _, count, *__: {
        f'{LOCAL}.checkpoint': list(range(count)) or True
    },
    stem=lambda *_: {f'{LOCAL}.lean_stem': True},
    fast=lambda *_: {f'{LOCAL}.fast_head': True},
    width=lambda _, percent, *__: {
        f'{LOCAL}.auxiliary.neck.channel_ratio': percent / 100
    },
    lean=_lean,
    cp=_cp,
    accum=_accumulate,
)
