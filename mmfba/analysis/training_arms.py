# Copyright (c) mmfba authors.
"""Ways to train one network, as changes of its config."""

import copy
import re
from typing import TYPE_CHECKING, Callable, Dict, Tuple

if TYPE_CHECKING:  # --help lists the tokens, and needs no torch for that
    from mmengine.config import Config, ConfigDict

from mmfba.type_name import type_name

TUNED = 'balanced+chunk+checkpoint'
NUMBERED = dict(accum=True, k=True, width=True)
NUMBERED.update(chunk=False, checkpoint=False)
"""Tokens with a number, and whether they need it."""


def make_arm(
    cfg: 'Config', arm: str, batch_size: int, shape: Tuple[int, int]
) -> 'Config':
    """The config of an arm.

    Args:
        cfg (Config): A config of a local model.
        arm (str): Tokens joined by ``+``. ``bp`` (K=1, the plain network) or
            ``fba`` (the config's own modules), ``bp`` if neither is given;
            ``k<n>`` (K modules), ``balanced`` (the cuts of least peak),
            ``chunk<n>`` (neck and head n images at a time, 1 without a
            number), ``fast`` (the main head on all levels at once),
            ``checkpoint<n>`` (inside the first n modules, all
            without a number), ``stem`` (lean), ``width<n>`` (SLM of n
            percent of the backbone's channels), ``update`` (the optimizer
            module by module), ``cp`` (upstream's ``with_cp``), and
            ``accum<n>`` (the batch in n micro-batches).
            ``tuned`` is ``balanced+chunk+checkpoint``.
        batch_size (int): Images in the batch.
        shape (tuple[int, int]): Height and width of the network's input.

    Returns:
        Config: A changed copy.

    Raises:
        ValueError: If a token is unknown or does not fit, or the model does
            no local learning; ``fba`` alone leaves that as it is.
    """
    cfg = copy.deepcopy(cfg)
    tokens = arm.replace('tuned', TUNED).split('+')
    if tokens != ['fba']:
        check_local(cfg)
    if 'fba' not in tokens:
        cfg.model.local_learning = dict(num_modules=1)
    for token in tokens:
        name, number = re.match(r'(\D*)(.*)', token).groups()
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
        TOKENS[name](cfg, int(number or 0), batch_size, shape)
    return cfg


def check_local(cfg: 'Config') -> None:
    """Refuse a config whose model does no local learning.

    Args:
        cfg (Config): The config.

    Raises:
        ValueError: It names the model.
    """
    from mmengine.registry import MODELS

    from mmfba.models.local_model import LocalModel

    kind = cfg.model.get('type')
    scope = cfg.get('default_scope', 'mmengine')
    with MODELS.switch_scope_and_registry(scope) as registry:
        built = registry.get(kind) if isinstance(kind, str) else kind
    if isinstance(built, type) and not issubclass(built, LocalModel):
        raise ValueError(
            f'model.type={type_name(kind)!r} does no local learning: set it '
            'to the model that takes its place, such as '
            "'mmfba.LocalSingleStageDetector'"
        )


def describe_tokens() -> str:
    """The tokens as the help of a command line lists them."""
    numbers = {True: '<n>', False: '[<n>]', None: ''}
    names = [name + numbers[NUMBERED.get(name)] for name in TOKENS]
    return ', '.join([*names, f'tuned (={TUNED})'])


def _cp(cfg: 'Config', *_) -> None:
    if 'backbone' not in cfg.model:
        raise ValueError(
            f'arm cp: {type_name(cfg.model.type)} has no backbone with '
            "upstream's with_cp: use 'checkpoint'"
        )
    if cfg.model.local_learning.get('num_modules') != 1:
        raise ValueError(
            "arm cp: upstream's with_cp skips the first block "
            "after a cut: use 'fba+checkpoint'"
        )
    cfg.model.backbone.with_cp = True


def _stem(cfg: 'Config', *_) -> None:
    cfg.model.local_learning.lean_stem = True


def _fast(cfg: 'Config', *_) -> None:
    cfg.model.local_learning.fast_head = True


def _checkpoint(cfg: 'Config', count: int, *_) -> None:
    chosen = list(range(count)) if count else True
    cfg.model.local_learning.checkpoint = chosen


def _chunk(cfg: 'Config', size: int, *_) -> None:
    cfg.model.local_learning.chunk = size or 1


def _num_modules(cfg: 'Config', count: int, *_) -> None:
    options = cfg.model.local_learning
    if isinstance(options.get('partition'), (list, tuple)):
        options.pop('partition')  # explicit cuts have a K of their own
    options.num_modules = count


def _balanced(
    cfg: 'Config', _: int, batch_size: int, shape: Tuple[int, int]
) -> None:
    options = cfg.model.local_learning
    cuts = options.get('partition')
    if isinstance(cuts, (list, tuple)):
        options.num_modules = len(cuts) + 1
    options.partition = dict(
        type='mmfba.BalancedPartition',
        input_shape=shape,
        batch_size=batch_size,
    )


def _accumulate(cfg: 'Config', count: int, batch_size: int, *_) -> None:
    _check_count('accum', count, batch_size)
    cfg.optim_wrapper.accumulative_counts = count


def _width(cfg: 'Config', percent: int, *_) -> None:
    _auxiliary_neck(cfg).channel_ratio = percent / 100


def _auxiliary_neck(cfg: 'Config') -> 'ConfigDict':
    from mmengine.config import ConfigDict

    auxiliary = cfg.model.local_learning.setdefault('auxiliary', ConfigDict())
    return auxiliary.setdefault('neck', ConfigDict())


def _check_count(name: str, count: int, batch_size: int) -> None:
    if not 1 < count <= batch_size:
        raise ValueError(
            f'arm {name}{count}: a batch of {batch_size} images makes 2 to '
            f'{batch_size} micro-batches'
        )


def _update(cfg: 'Config', *_) -> None:
    cfg.optim_wrapper.update_by = 'module'


TOKENS: Dict[str, Callable[..., None]] = dict(
    bp=lambda *_: None,
    fba=lambda *_: None,
    k=_num_modules,
    balanced=_balanced,
    chunk=_chunk,
    checkpoint=_checkpoint,
    stem=_stem,
    fast=_fast,
    width=_width,
    update=_update,
    cp=_cp,
    accum=_accumulate,
)
