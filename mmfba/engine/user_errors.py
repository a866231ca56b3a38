# Copyright (c) mmfba authors.
"""From an error that the user can do something about to one line."""

import difflib
import inspect
import os
import re
import textwrap
import traceback
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional
from urllib.error import URLError

import cv2
from mmengine import registry
from mmengine.hooks import Hook
from mmengine.registry import Registry
from mmengine.runner import Runner

from mmfba.local_config import LOCALISABLE
from mmfba.type_name import type_name

USER_ERRORS = (
    AssertionError,  # mmengine and mmdet check configs so
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    SyntaxError,  # of a config
    TypeError,
    ValueError,
    cv2.error,
)
"""What a wrong config, command line or file ends in."""
TRACEBACK = 'MMFBA_TRACEBACK'
"""Environment variable that brings the traceback back."""
PLAIN = (bool, dict, float, int, list, str, tuple)
OWN = ('mmfba', '__main__')
HINTS = {
    'need at least one array to concatenate': 'no image is left to train '
    'on: the annotations are empty or of other classes than '
    'metainfo.classes, or filter_cfg drops all images, for example those '
    'without a box',
    'None is not a callable object': 'optim_wrapper.optimizer.type: there is '
    'no such optimizer',
}
"""Plain words for what upstream says."""


@contextmanager
def one_line_errors(runner: Optional[Runner] = None) -> Iterator[None]:
    """End with the message of what the user got wrong, not a traceback.

    Errors of other kinds keep theirs, and all do where the environment
    variable ``MMFBA_TRACEBACK`` is set. With ``runner`` they do from its
    first batch on.

    Raises:
        SystemExit: With exit status 1.
    """
    begun = _FirstBatch()
    if runner is not None:
        runner.register_hook(begun, 'LOWEST')
    try:
        yield
    except NotImplementedError:
        raise
    except FloatingPointError as error:  # a loss, at any iteration
        raise SystemExit(f'error: {error}') from error
    except USER_ERRORS as error:
        if begun.reached or os.environ.get(TRACEBACK):
            raise
        raise SystemExit(f'error: {explain(error)}') from error


class _FirstBatch(Hook):
    reached = False

    def _before_iter(self, *args, **kwargs) -> None:
        self.reached = True


def explain(error: BaseException) -> str:
    """One message that says what was being built or read, and what is wrong.

    Messages of this package stand for themselves. Others are preceded by the
    part of the config, or the file, that they are about.
    """
    # A KeyError would put its message in quotation marks.
    text = str(error.args[0] if type(error) is KeyError else error).strip()
    if 'Original Traceback' in text:  # of a worker of the data loader
        text = text.splitlines()[-1]
    text = re.sub(r' in <[^>]* object at 0x\w+>$', '', text)  # a hook's name
    missing = re.match(r'(\S+) is not in the \S*::(.+) registry', text)
    if missing:
        return _unknown_type(*missing.groups())
    frames = [f for f, _ in traceback.walk_tb(error.__traceback__)]
    own = frames[-1].f_globals.get('__name__', '').startswith(OWN)
    if own and isinstance(error, (ValueError, ImportError)):
        return text
    text = HINTS.get(text, text)
    if ' ' not in text:
        text = f'{type(error).__name__}: {text}'
    scopes = [frame.f_locals for frame in reversed(frames)]
    if isinstance(error, URLError):
        text += _download(scopes)
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", text)
    if unexpected and unexpected[1] == 'local_learning':
        cls = next((s['obj_cls'] for s in scopes if 'obj_cls' in s), None)
        return f'model.type={type_name(cls)}: {unexpected[0]}: {LOCALISABLE}'
    if unexpected:
        text += _options(unexpected[1], scopes)
    return f'{_subject(scopes)}{text} ({TRACEBACK}=1 shows where)'


def _download(scopes: List[Dict[str, Any]]) -> str:
    """What was to be downloaded, and what else could be done."""
    for scope in scopes:
        if 'url' in scope and 'dst' in scope:  # of torch.hub
            return (
                f': {scope["url"]} was not downloaded: put it there as '
                f'{scope["dst"]}, or begin without it by '
                'model.backbone.init_cfg=None'
            )
    return ''


def _subject(scopes: List[Dict[str, Any]]) -> str:
    """The image or the part of the config that the error is about."""
    for scope in scopes:
        results, args = scope.get('results'), scope.get('args')
        if isinstance(results, dict) and 'img_path' in results:
            return f'{results["img_path"]}: '
        if 'obj_cls' in scope and isinstance(args, dict):
            name = getattr(scope['obj_cls'], '__name__', scope.get('obj_type'))
            given = ', '.join(
                f'{key}={textwrap.shorten(repr(value), 60, placeholder="...")}'
                for key, value in args.items()
                if _is_plain(value)
            )
            return f'{name}({given}): '
    return ''


def _options(unexpected: str, scopes: List[Dict[str, Any]]) -> str:
    """What the part of the config that got a wrong option takes."""
    for scope in scopes:
        if 'obj_cls' in scope and unexpected in scope.get('args', {}):
            takes = inspect.signature(scope['obj_cls']).parameters
            kinds = {option.kind for option in takes.values()}
            if inspect.Parameter.VAR_KEYWORD in kinds:
                break  # it is a parent that does not take it
            options = [x for x in takes if _is_plain(scope['args'].get(x))]
            return f'; it takes {", ".join(options)}'
    return ''


def _is_plain(value: Any) -> bool:
    """Whether a value can stand in a config; no other was set by the user."""
    return value is None or isinstance(value, PLAIN)


def _unknown_type(name: str, kind: str) -> str:
    names, homes = set(), set()
    for node in vars(registry).values():
        if not isinstance(node, Registry):
            continue
        for scope, child in node.children.items():
            prefix = 'mmfba.' if scope == 'mmfba' else ''
            known = (*child.module_dict, *getattr(child, 'optional', ()))
            names.update(prefix + cls for cls in known)
            if child.name == kind and name in child.module_dict and not prefix:
                homes.add(scope)
        names.update(node.module_dict)
    if homes:
        home = sorted(homes)[0]
        return (
            f'type={name!r}: it is in {sorted(homes)}, but default_scope is '
            f"missing or another: write type='{home}.{name}', or "
            f'default_scope={home!r} in a config of that library'
        )
    near = difflib.get_close_matches(name, sorted(names), 3, 0.75)
    hint = (
        f'did you mean {near}?'
        if near
        else 'look at the spelling and at default_scope, or import what '
        'defines it by custom_imports'
    )
    return f'type={name!r}: there is no such {kind}; {hint}'
