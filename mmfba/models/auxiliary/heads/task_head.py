# Copyright (c) mmfba authors.
import copy
import inspect
from typing import Any, Dict, Optional, Sequence, Tuple, Union

from torch import nn

from mmfba.registry import MODELS
from mmfba.type_name import type_name

from ...choices import check_choice
from ..unit_spec import UnitSpec

MODES = ('slim', 'copy', 'shared')


@MODELS.register_module()
def TaskHead(
    spec: UnitSpec,
    in_channels: Union[int, Sequence[int]],
    mode: str = 'slim',
    stacked_convs: Optional[int] = None,
    levels: Optional[slice] = None,
    strides: Optional[Sequence[int]] = None,
) -> nn.Module:
    """The main network's task head as an auxiliary head.

    Its own ``loss()`` computes the local loss, so that every option of the
    head has its effect.

    Args:
        spec (UnitSpec): The cut.
        in_channels (int | Sequence[int]): Channels of what the auxiliary
            neck returns, of each level where they differ.
        mode (str): ``'shared'``: the main head itself, by weights;
            ``'copy'``: the same head with weights of its own; ``'slim'``: a
            copy whose convs have the channels of the auxiliary neck. Defaults
            to ``'slim'``.
        stacked_convs (int, optional): Convs of a slim head; None for as many
            as the main head has. Defaults to None.
        levels (slice, optional): Levels of the pyramid that the neck makes.
            Anchors of the others are left out, and a box that overlaps none
            of these is no target. Defaults to None, all.
        strides (Sequence[int], optional): Strides of levels that are not
            those of the main network's neck, on which this head cannot
            stand. Defaults to None.

    Returns:
        nn.Module: The head.
    """
    main = spec.main
    check_choice('auxiliary.head.mode', mode, MODES)
    if strides is not None:
        raise ValueError(
            'auxiliary.head.type=mmfba.TaskHead takes the levels of the main '
            f'network, the auxiliary neck has strides {tuple(strides)}: use '
            "auxiliary.head.type='mmfba.BoxHead'"
        )
    if not main.head:
        raise ValueError(
            'auxiliary.head.type=mmfba.TaskHead copies the head of a '
            'classifier or detector; this model has none: set model.head, or '
            'use mmfba.SRHead where images are restored'
        )
    takes, same = _head_takes(spec, in_channels)
    if mode == 'shared':
        if levels is not None:
            raise ValueError(
                "auxiliary.head.mode='shared': the auxiliary neck makes some "
                "levels of the pyramid only: use mode='slim' or 'copy'"
            )
        if not same:
            raise ValueError(
                "auxiliary.head.mode='shared': the main head takes "
                f'{takes} channels, the auxiliary neck of '
                f'module {spec.index} returns {in_channels}: set '
                f'auxiliary.neck.out_channels={takes} '
                "(detection) or mode='stage_chain' and channel_ratio=1.0 "
                '(classification)'
            )
        return main.head_module
    cfg = copy.deepcopy(main.head)
    _set_in_channels(cfg, main.head_module, in_channels, same)
    if mode == 'slim':
        widest = in_channels
        if not isinstance(in_channels, int):
            widest = max(in_channels)
        slim = dict(feat_channels=widest)
        if stacked_convs is not None:
            slim['stacked_convs'] = stacked_convs
        for key in slim:
            if not accepts(type(main.head_module), key):
                raise ValueError(
                    f"auxiliary.head.mode='slim': "
                    f'{type_name(main.head["type"])} has no {key!r}: use '
                    "mode='copy'"
                )
        cfg.update(slim)
    if levels is not None:
        _keep_levels(cfg, levels)
        return main.registry.build(cfg)
    head = main.registry.build(cfg)
    if main.anchor_targets is not None:
        head.assigner = main.head_module.assigner  # its anchors are the same
    return head


def _head_takes(
    spec: UnitSpec, in_channels: Union[int, Sequence[int]]
) -> Tuple[Union[int, Sequence[int]], bool]:
    """Channels that the main head takes, and whether they are the same."""
    widths = [shape[1] for shape in spec.main.head_inputs or ()]
    if not isinstance(in_channels, int):
        return widths, list(in_channels) == widths
    takes = widths[-1] if widths else None  # of maps that are not the last
    return takes, in_channels == takes


def _set_in_channels(
    cfg: Dict[str, Any],
    head: nn.Module,
    in_channels: Union[int, Sequence[int]],
    same: bool,
) -> None:
    """Let a head's config take what the auxiliary neck returns."""
    if 'task_heads' in cfg:  # mmpretrain's MultiTaskHead
        for name, part in cfg['task_heads'].items():
            _set_in_channels(part, head.task_heads[name], in_channels, same)
    elif accepts(type(head), 'in_channels'):
        if isinstance(cfg.get('in_channels'), (list, tuple)):
            if isinstance(in_channels, int):
                in_channels = [in_channels] * len(cfg['in_channels'])
        cfg['in_channels'] = in_channels
    elif not same:
        raise ValueError(
            f'auxiliary.head.type=mmfba.TaskHead: {cfg["type"]} has no '
            "'in_channels', so that a copy cannot take the "
            f'{in_channels} channels of the auxiliary network: set '
            'auxiliary.neck.channel_ratio=1.0, give the main network another '
            'head, or train by back-propagation with '
            'local_learning.num_modules=1'
        )


def _keep_levels(cfg: Dict[str, Any], levels: slice) -> None:
    generator = cfg.get('anchor_generator', {})
    assigner = (cfg.get('train_cfg') or {}).get('assigner', {})
    kind = type_name(assigner.get('type'))
    if 'strides' not in generator or kind != 'MaxIoUAssigner':
        raise ValueError(
            'auxiliary.neck.type: this auxiliary neck makes some levels '
            f'only, and {type_name(cfg["type"])} has no anchors with a '
            'MaxIoUAssigner, of which the others could be left out: choose '
            'another auxiliary.neck'
        )
    for key in ('strides', 'base_sizes', 'centers'):
        if isinstance(generator.get(key), (list, tuple)):
            generator[key] = list(generator[key])[levels]
    # Or each box would get the best of these anchors, however bad.
    assigner['match_low_quality'] = False


def accepts(cls: type, key: str) -> bool:
    """Whether a class, or one that it is derived from, has an option."""
    return any(
        key in inspect.signature(base.__init__).parameters
        for base in cls.__mro__
    )
