# Copyright (c) mmfba authors.
import os
import platform
from datetime import date
from typing import Any, Dict

import torch

from mmfba.version import __version__


def describe_environment() -> Dict[str, Any]:
    """Where and when something was measured, to be stored beside it.

    Returns:
        dict: Date, processor, number of cores, GPU and versions.
    """
    cuda = torch.cuda.is_available()
    return dict(
        date=date.today().isoformat(),
        machine=f'{platform.machine()}, {os.cpu_count()} cores',
        device=torch.cuda.get_device_name() if cuda else 'cpu',
        python=platform.python_version(),
        torch=torch.__version__,
        mmfba=__version__,
    )
