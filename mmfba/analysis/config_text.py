# Copyright (c) mmfba authors.
"""Changes of a config as a config that inherits from it."""

import copy
import os
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config

from .training_arms import Changes

COMMENTS = dict(
    num_modules='K, the parts that learn by losses of their own',
    partition='the units to cut after',
    chunk='images that neck and head see at a time',
    checkpoint='modules compute their units again in the backward',
    lean_stem='the stem goes image by image',
    with_cp='blocks are computed again in the backward',
    accumulative_counts='parts of a batch to one step',
    fast_head='the main head runs on all levels at once',
    init_cfg='random weights',
    clip_grad='the first gradients are large',
)
WIDTH = 79


def config_text(
    base: str, cfg: Config, changes: Changes, out: Path, header: str
) -> str:
    """Write a config.

    Args:
        base (str): What it inherits from, as the user named it.
        cfg (Config): The same, read.
        changes (dict): New values by their dotted keys.
        out (Path): Where it will be.
        header (str): A comment, of several lines if need be.

    Returns:
        str: A text config, or a pure Python one if the base is.

    Raises:
        ValueError: If that cannot be imported, or a key points into a list
            inside a dict.
    """
    python = Config._is_lazy_import(cfg.filename)
    lines = [f'# {line}' for line in header.splitlines()]
    tree = _nested(changes)
    if python:
        classes = _classes(tree)
        lines += ['from mmengine.config import read_base', '']
        lines += ['with read_base():', f'    {_read(cfg.filename, out)}', '']
        names = ', '.join(classes)
        lines += [f'from mmfba.models import {names}', ''] if classes else []
    else:
        if '::' not in base:
            base = os.path.relpath(cfg.filename, out.parent or '.')
            base = Path(base).as_posix()
        lines.append(f'_base_ = {base!r}')
    for key, value in tree.items():
        if isinstance(cfg.get(key), list) and isinstance(value, dict):
            lines += [] if python else [f'{key} = _base_.{key}']
            for index, part in value.items():
                lines += _block(f'{key}[{index}].update(', part, ')', '')
        elif isinstance(value, dict) and python and key in cfg:
            for name, part in value.items():
                if isinstance(part, dict) and part.pop('_delete_', False):
                    lines.append(f'del {key}[{name!r}]')
            lines += _block(f'{key}.update(', value, ')', '')
        else:
            lines += _item(f'{key} = ', key, value, '', '')
    return '\n'.join(lines) + '\n'


def _nested(changes: Changes) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in changes.items():
        *parents, last = path.split('.')
        if any(name.isdigit() for name in path.split('.')[2:]):
            raise ValueError(
                f'{path}: a key inside a list cannot be inherited: change it '
                'in the config itself'
            )
        part = tree
        for name in parents:
            part = part.setdefault(name, {})
        part[last] = copy.deepcopy(value)
    return tree


def _classes(tree: dict[str, Any]) -> list[str]:
    """Take the classes of mmfba for their names."""
    found = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += _classes(value)
        elif isinstance(value, str) and value.startswith('mmfba.'):
            found.append(value.rpartition('.')[2])
            tree[key] = _Name(found[-1])
    return sorted(found)


class _Name(str):
    __repr__ = str.__str__


def _read(path: str, out: Path) -> str:
    """The import of a pure Python base."""
    parts = Path(os.path.relpath(path, out.parent or '.')).parts
    ups = parts.count('..')
    names = [*parts[ups:-1], Path(path).stem]
    if not all(name.isidentifier() for name in names):
        raise ValueError(
            f'{path}: pure Python configs import each other, and '
            f'{".".join(names)} is no name that can be imported: write to '
            'another folder or rename the file'
        )
    return f'from {"." * (ups + 1)}{".".join(names)} import *'


def _block(opening: str, value: dict, closing: str, indent: str) -> list[str]:
    """A call with a keyword argument for each item."""
    inline = ', '.join(f'{k}={_inline(v)}' for k, v in value.items())
    line = f'{indent}{opening}{inline}{closing}'
    if len(line) <= WIDTH and 'num_modules' not in inline:
        return [line + _comment(list(value)[-1], line)]
    lines = [indent + opening]
    for key, part in value.items():
        end = closing if key == list(value)[-1] else ','
        lines += _item(f'{key}=', key, part, end, indent + '    ')
    return lines


def _item(name: str, key: str, value: Any, end: str, indent: str) -> list[str]:
    if isinstance(value, dict):
        return _block(f'{name}dict(', value, f'){end}', indent)
    start = indent + name
    text = pformat(value, width=WIDTH - len(start), compact=True)
    first, *rest = text.splitlines()
    lines = [start + first, *(' ' * len(start) + line for line in rest)]
    lines[-1] += end
    lines[0] += _comment(key, lines[0]) if not rest else ''
    return lines


def _inline(value: Any) -> str:
    if not isinstance(value, dict):
        return repr(value)
    return f'dict({", ".join(f"{k}={_inline(v)}" for k, v in value.items())})'


def _comment(key: str, line: str) -> str:
    text = f'  # {COMMENTS[key]}' if key in COMMENTS else ''
    return text if len(line + text) <= WIDTH else ''
