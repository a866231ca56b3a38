# Copyright (c) mmfba authors.
"""Stock configs in the pure Python style, where a type is a class."""

from importlib import import_module

from mmengine import registry
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry

LEAF = """
from mmengine.config import read_base

with read_base():
    from .stock import *

from mmfba.engine.hooks import FeatureBankHook
from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.models import {model}

model.update(type={model}, local_learning=dict(num_modules=2))
optim_wrapper.update(type=LocalLearningOptimWrapper)
default_hooks.update(feature_bank=dict(type=FeatureBankHook))
"""
"""A config that makes stock.py, beside it, learn locally."""


def python_style(cfg: Config) -> str:
    """A config with classes and functions for the names of types, and
    without a default scope, as the libraries write them."""
    imports = set()

    def convert(part):
        if isinstance(part, dict):
            return {
                key: name(value) if key == 'type' else convert(value)
                for key, value in part.items()
                if key != '_scope_'  # which a base of mmdet:: brings
            }
        if isinstance(part, (list, tuple)):
            return type(part)(map(convert, part))
        return part

    def name(kind):
        found = _find(kind)
        if found is None:
            return kind  # a name of another sort, as that of an operation
        imports.add(f'from {_home(found)} import {found.__name__}')
        return _Name(found.__name__)

    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        lines = [f'{k} = {convert(v)!r}' for k, v in cfg.to_dict().items()]
    return '\n'.join([*imports, *lines, 'default_scope = None'])


class _Name(str):
    __repr__ = str.__str__


def _home(found):
    """The shortest path that it is imported from."""
    path = ''
    for part in found.__module__.split('.'):
        path = f'{path}.{part}' if path else part
        if getattr(import_module(path), found.__name__, None) is found:
            break
    return path


def _find(kind):
    roots = (r for r in vars(registry).values() if isinstance(r, Registry))
    for root in roots:
        with root.switch_scope_and_registry(None) as node:
            found = node.get(kind)
        if found is not None:
            return found
    return None
