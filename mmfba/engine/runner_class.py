# Copyright (c) mmfba authors.
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner


def runner_class(cfg: Config) -> type:
    """The class of what trains or tests, as the base libraries' tools choose
    it: the Runner, or what ``runner_type`` of the config names; a ValueError
    if there is none."""
    kind = cfg.get('runner_type')
    if kind is None:
        return Runner
    if isinstance(kind, str):
        scope = cfg.get('default_scope')
        with RUNNERS.switch_scope_and_registry(scope) as registry:
            kind = registry.get(kind)
    if kind is None:
        raise ValueError(
            f'runner_type={cfg.runner_type!r}: there is no such runner: look '
            'at the spelling, or import what defines it by custom_imports'
        )
    return kind
