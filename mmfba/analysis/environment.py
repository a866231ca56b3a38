# Copyright (c) mmfba authors.
import json
import os
import platform
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import Any, Dict, Optional, Union

import torch

from mmfba.version import __version__


def describe_environment(device: Optional[str] = None) -> Dict[str, Any]:
    """Where and when something was measured, to be stored beside it. The
    device is ``'cpu'``, ``'meta'`` or ``'cuda'``; None is a GPU if there is
    one."""
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return dict(
        date=date.today().isoformat(),
        machine=f'{platform.machine()}, {os.cpu_count()} cores',
        device=torch.cuda.get_device_name() if device == 'cuda' else device,
        python=platform.python_version(),
        torch=torch.__version__,
        mmfba=__version__,
    )


def write_result(
    path: Union[str, Path],
    device: Optional[str] = None,
    indent: Optional[int] = 1,
    **found: Any,
) -> None:
    """Write a JSON file: where and when something was measured, by which
    command, and what was found."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    result = describe_environment(device)
    result['command'] = shlex.join(['python', *sys.argv])
    part = path.with_suffix('.part')
    part.write_text(json.dumps({**result, **found}, indent=indent) + '\n')
    part.replace(path)
