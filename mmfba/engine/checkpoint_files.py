# Copyright (c) mmfba authors.
"""Checkpoint files before they are used: are they whole, are they one?"""

import copy
import os
import pickle
import re
import textwrap
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

import torch
from torch import Tensor, nn

NEEDED = ('meta', 'state_dict', 'message_hub')
"""What MMEngine resumes from."""
REFUSED = re.compile(r'(?:GLOBAL|Unsupported class) (\S+)')
"""How torch names an object that may run code; the second is torch 2.1's."""


def is_whole(path: Path) -> bool:
    """Whether all bytes of a file of ``torch.save`` are there and right."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def last_whole_checkpoint(
    work_dir: str, trust: bool = False
) -> Tuple[Optional[str], str]:
    """Find what ``--resume`` without a path goes on from, and what to log.

    That is what the file ``last_checkpoint`` names, if it is whole, else the
    newest whole checkpoint of a training in the same folder or the work
    directory; None if there is no checkpoint at all.

    Raises:
        ValueError: If there was a checkpoint, and none is whole.
        UnpicklingError: If the newest whole one may run code, and ``trust``
            is False.
    """
    folder = Path(work_dir)
    record = folder / 'last_checkpoint'
    named = record.read_text().strip() if record.is_file() else ''
    if '://' in named or (named and is_whole(Path(named))):
        return named, f'Resume from the last checkpoint {named}.'
    folders = {folder, Path(named).parent} if named else {folder}
    files = [path for f in folders for path in f.glob('*.pth')]
    broken = (
        f'The last checkpoint {named} is missing or not whole'
        if named
        else f'{record} names no checkpoint'
    )
    for path in sorted(files, key=lambda p: -p.stat().st_mtime_ns):
        if is_whole(path) and _is_of_training(path, trust):
            return str(path), (
                f'{broken}: resume from the newest one that is whole, {path}.'
            )
    if record.is_file():
        raise ValueError(
            f'--resume: {broken}, and there is no other whole one in '
            f'{sorted(map(str, folders))}: name one by --resume PATH, or '
            'train anew without --resume'
        )
    return None, f'There is no checkpoint in {work_dir}: training starts.'


def read_checkpoint(path: str, trust: bool = False) -> Dict[str, Any]:
    """Read a local checkpoint; its tensors stay in the file until used.

    Raises:
        ValueError: If there is no such file, it is not whole, or no dict.
        UnpicklingError: If it holds more than plain data, which may run code,
            and ``trust`` is False; see :func:`checkpoint_loading`.
    """
    if not Path(path).is_file():
        raise ValueError(f'{path}: there is no such checkpoint file')
    try:
        loaded = torch.load(
            path,
            map_location='cpu',
            weights_only=not trust,
            mmap=zipfile.is_zipfile(path),
        )
    except Exception as error:  # bytes of any kind end in any error
        if zipfile.is_zipfile(path) and REFUSED.search(str(error)):
            raise pickle.UnpicklingError(f'{path} {error}') from error
        kind = type(error).__name__
        raise ValueError(
            f'{path} cannot be read: it is cut off, damaged or no file of '
            f'PyTorch ({kind}: {_shorten(error)}): take another checkpoint'
        ) from error
    if not isinstance(loaded, dict):
        raise ValueError(
            f'{path} holds a {type(loaded).__name__}, no checkpoint: expected '
            'a dict with state_dict'
        )
    return loaded


def check_checkpoint(
    path: Optional[str], trust: bool = False, resume: bool = False
) -> None:
    """Refuse a local file that is no checkpoint, or with ``resume`` none that
    training can go on from. URLs are not looked at."""
    if path is not None and '://' not in path:
        loaded = read_checkpoint(path, trust)
        missing = [key for key in NEEDED if resume and key not in loaded]
        if missing:
            raise ValueError(
                f'--resume {path}: it has no {missing}, so training cannot go '
                'on from it: to start anew from its weights, use '
                f'--cfg-options load_from={path}'
            )


@contextmanager
def checkpoint_loading(trust: bool = False) -> Iterator[None]:
    """Say in one message what to do when torch refuses a checkpoint.

    PyTorch refuses by itself since 2.6, and onedl-mmengine then loads the
    file nevertheless. So PyTorch's environment variables are set inside the
    context. With ``trust``, or ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1``, files
    are loaded that may run any code that their author put there.

    Raises:
        SystemExit: If torch refuses a file, with exit status 1.
    """
    refuse, load = (
        'TORCH_FORCE_WEIGHTS_ONLY_LOAD',
        'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD',
    )
    before = {name: os.environ.pop(name, None) for name in (refuse, load)}
    if trust or before[load] == '1':
        os.environ[load] = '1'
    else:
        os.environ[refuse] = '1'
    try:
        yield
    except pickle.UnpicklingError as error:
        file, failed, _ = str(error).partition('Weights only load failed')
        if not failed:
            raise
        found = REFUSED.search(str(error))
        what = f' ({found.group(1)})' if found else ''
        raise SystemExit(
            f'error: {file or "The checkpoint "}holds objects beside plain '
            f'data{what}, and such a file is not loaded by default, because '
            'loading it may run code. Files written with '
            'mmfba.PlainCheckpointHook load; older training checkpoints of '
            'MMEngine do not. If you trust whoever made this file, run the '
            'same command with --trust-checkpoint.'
        ) from None
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def load_strictly(
    model: nn.Module,
    state: Dict[str, Tensor],
    kept: Callable[[str], bool],
) -> str:
    """Load all weights but those that ``kept`` says stay as they are.

    Returns:
        str: What does not fit; empty if all is loaded.
    """
    state = copy.copy(state)  # with its metadata
    for name in [n for n in state if kept(n)]:
        del state[name]
    state.update((n, v) for n, v in model.state_dict().items() if kept(n))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        return _shorten(error)
    return ''


def _shorten(error: Exception) -> str:
    return textwrap.shorten(str(error), 200, placeholder=' ...')


def _is_of_training(path: Path, trust: bool) -> bool:
    """Whether it holds what resuming needs; the best ones do not."""
    try:
        loaded = read_checkpoint(str(path), trust)
    except ValueError:  # what is no checkpoint is not resumed from
        return False
    return all(key in loaded for key in (*NEEDED, 'optimizer'))
