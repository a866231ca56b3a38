# Copyright (c) mmfba authors.
"""The error of one process ends all, and is said once."""

import os
import re
import socket
import sys
import time
import traceback
from contextlib import contextmanager
from typing import Iterator

import torch.distributed as dist

GRACE = 10
"""Seconds in which a launcher ends those that another process has left: it
takes the first that ends for the cause. torchrun looks each 0.1 s, before
PyTorch 2.3 each 5 s."""
LEFT_BY_OTHERS = re.compile(r'gloo/|NCCL')
"""In the message of a process whose partner is gone, or silent too long."""


@contextmanager
def ended_together() -> Iterator[None]:
    """End this process at once where an error leaves the context.

    The process that failed shows where and ends with a line that names its
    rank. The others, which miss it, end with a line each. One that went on to
    take down its process groups could wait there for ever. Where there is one
    process, errors are raised as they are.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        failed = not isinstance(error, SystemExit) or error.code
        several = dist.is_initialized() and dist.get_world_size() > 1
        if not (failed and several):
            raise
        rank = f'rank {dist.get_rank()} of {dist.get_world_size()}'
        text = _describe(error)
        lost = LEFT_BY_OTHERS.search(f'{text} {error.__cause__}')
        if not (lost or isinstance(error, SystemExit)):
            traceback.print_exc()
        kind = 'lost the others: ' if lost else ''
        line = f'error: {rank} ({socket.gethostname()}): {kind}{text}\n'
        sys.stdout.flush()
        sys.stderr.write(line)  # at once: lines of others do not mix with it
        sys.stderr.flush()
        if lost:
            time.sleep(GRACE)
        os._exit(1)


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return str(error.code).replace('error: ', '', 1)
    return f'{type(error).__name__}: {error}'
