# Copyright (c) mmfba authors.
"""Checkpoints that the stock libraries load."""

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, Tuple

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmfba.analysis.synthetic import make_batch
from mmfba.analysis.tensors_in import tensors_in
from mmfba.models.auxiliary_names import is_auxiliary
from mmfba.models.build_model import build_model
from mmfba.models.local_model import LocalModel

from .checkpoint_files import load_strictly, read_checkpoint
from .hooks import PlainCheckpointHook
from .plain_config import plain_config

SIDE = 224
"""Pixels of the image that is compared: a multiple of all strides, and what
YOLOv1's grid of 7 cells needs at least."""


def publish(
    cfg: Config, checkpoint: str, out: str, trust: bool = False
) -> Tuple[Path, Path]:
    """Write the plain network of a checkpoint, and its config.

    ``out`` becomes ``NAME-xxxxxxxx.pth`` with the first digits of its sha256,
    as OpenMMLab names its files, and ``NAME.py``. Of the checkpoint there
    remain the weights without the auxiliary networks, with ``EMAHook`` the
    averaged ones, and ``meta`` with the plain config. The files appear once
    the stock model of the new config has loaded the new weights strictly and
    its raw outputs on a random image are bit for bit those of the local one.

    Args:
        cfg (Config): Config of the local model that was trained.
        checkpoint (str): Its checkpoint.
        out (str): Path of the new file; the digits are put before ``.pth``.
        trust (bool): Whether to read a checkpoint that may run code. Defaults
            to False.

    Returns:
        tuple[Path, Path]: The new checkpoint and the new config.

    Raises:
        ValueError: If any of this fails; nothing is left behind.
        UnpicklingError: If the checkpoint holds more than plain data.
    """
    name = Path(out[:-4] if out.endswith('.pth') else out)
    if not name.parent.is_dir():
        raise ValueError(f'{name.parent} is no folder: make it first')
    plain = plain_config(cfg)
    loaded = read_checkpoint(checkpoint, trust)
    if 'state_dict' not in loaded:
        raise ValueError(
            f'{checkpoint} has no state_dict, as MMEngine writes it'
        )
    local = build_model(cfg)
    _load(local, loaded['state_dict'], f'{checkpoint} and the config')

    data = _pack(local, loaded.get('meta') or {}, plain)
    digits = hashlib.sha256(data).hexdigest()[:8]
    finals = tuple(
        name.with_name(name.name + end) for end in (f'-{digits}.pth', '.py')
    )
    for path in finals:
        if path.exists():
            raise ValueError(f'{path} exists: choose another name')
    with tempfile.TemporaryDirectory(dir=name.parent) as folder:
        weights, config = (Path(folder) / path.name for path in finals)
        weights.write_bytes(data)
        plain.dump(str(config))
        _verify(local, config, weights)
        os.rename(weights, finals[0])
        os.rename(config, finals[1])
    return finals


def _load(model: nn.Module, state: Dict[str, Tensor], who: str) -> None:
    """Load the plain network; of auxiliary ones, there may be others."""
    problem = load_strictly(model, state, is_auxiliary)
    if problem:
        raise ValueError(f'{who} do not fit: {problem}')


def _pack(model: LocalModel, meta: Dict[str, Any], plain: Config) -> bytes:
    """The new file; in memory, since torch writes the name into a file."""
    state = model.state_dict()
    for names in (state, state._metadata):
        for name in [n for n in names if is_auxiliary(n)]:
            del names[name]
    published = dict(meta=dict(meta, cfg=plain.pretty_text), state_dict=state)
    PlainCheckpointHook().before_save_checkpoint(None, published)
    file = io.BytesIO()
    torch.save(published, file)
    return file.getvalue()


def _verify(local: LocalModel, config: Path, weights: Path) -> None:
    """Compare the published model with the local one."""
    stock = build_model(Config.fromfile(str(config)))
    state = read_checkpoint(str(weights))['state_dict']
    _load(stock, state, 'The plain weights and the plain config')
    batch = make_batch(local, 1, (SIDE, SIDE), 'cpu')
    with torch.no_grad():
        expected, found = (
            list(tensors_in(model.eval()(*batch, mode='tensor')))
            for model in (local, stock)
        )
    equal = len(expected) == len(found) and all(
        map(torch.equal, expected, found)
    )
    if not equal:
        raise ValueError(
            'The outputs of the plain model are not those of the local model, '
            'or no numbers'
        )
