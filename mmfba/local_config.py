# Copyright (c) mmfba authors.
"""From the config of any plain model to one that trains it locally.

Nothing is imported but MMEngine's configs: command lines use this.
"""

import copy
from typing import TYPE_CHECKING, Any

from mmfba.type_name import type_name

if TYPE_CHECKING:
    from mmengine.config import Config

LOCAL = 'mmfba.Local'
HOOK = 'mmfba.FeatureBankHook'
WRAPPERS = {
    'OptimWrapper': 'mmfba.LocalLearningOptimWrapper',
    'AmpOptimWrapper': 'mmfba.AmpLocalLearningOptimWrapper',
}
"""Stock optimizer wrappers, and those that train a local model."""
LOCALISABLE = (
    f"set model.type to '{LOCAL}' and the name of the plain class, such as "
    f"'{LOCAL}FasterRCNN'; GANs train plainly"
)
"""What to do about a model that does no local learning."""


def is_local(cfg: 'Config') -> bool:
    """Whether the model of a config learns locally."""
    kind = (cfg.get('model') or {}).get('type')
    return type_name(kind).startswith(LOCAL)


def localise(cfg: 'Config', num_modules: int = 4, **options: Any) -> 'Config':
    """Let the model of a config learn by local learning.

    Args:
        cfg (Config): The config of a plain model, of mmpretrain, mmdet or
            mmagic. It is not changed.
        num_modules (int): K. Defaults to 4.
        **options: More of ``model.local_learning``, see
            :class:`mmfba.models.LocalLearningOptions`.

    Returns:
        Config: A copy that trains as it did, with the local model in place of
        the plain one, and what trains it.

    Examples:
        >>> cfg = mmengine.hub.get_config(
        >>>     'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
        >>> runner = Runner.from_cfg(mmfba.localise(cfg, num_modules=4))
    """
    if is_local(cfg):
        raise ValueError(
            f'model.type={type_name(cfg.model.type)!r} learns locally '
            f'already: set model.local_learning.num_modules={num_modules}'
        )
    if not (cfg.get('model') or {}).get('type'):
        raise ValueError('the config has no model.type that could be cut')
    cfg = copy.deepcopy(cfg)
    name = type_name(cfg.model.get('type')).rpartition('.')[2]
    cfg.model.type = LOCAL + name
    cfg.model.local_learning = dict(num_modules=num_modules, **options)
    complete(cfg)
    return cfg


def complete(cfg: 'Config') -> None:
    """Give a local model what trains it and what logs it.

    A stock optimizer wrapper becomes ours of the same kind, and
    ``FeatureBankHook`` is added to ``default_hooks`` if it is missing; with
    ``default_hooks.feature_bank=None`` there is none. The config is changed
    in place.
    """
    if not is_local(cfg):
        return
    wrapper = cfg.get('optim_wrapper')
    # Without `optimizer` it is a dict of several wrappers, with no own type.
    if wrapper is not None and ('type' in wrapper or 'optimizer' in wrapper):
        kind = type_name(wrapper.get('type', 'OptimWrapper'))
        if kind in WRAPPERS:
            wrapper.type = WRAPPERS[kind]
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = dict()
    hooks = [*cfg.default_hooks.values(), *(cfg.get('custom_hooks') or ())]
    if all(type_name((hook or {}).get('type')) != HOOK for hook in hooks):
        cfg.default_hooks.setdefault('feature_bank', dict(type=HOOK))
    if cfg.default_hooks.get('feature_bank', HOOK) is None:
        del cfg.default_hooks['feature_bank']  # the Runner knows no None
