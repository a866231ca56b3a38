# Copyright (c) mmfba authors.
import os
import platform
from datetime import date
from typing import Any, Dict, Optional

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
