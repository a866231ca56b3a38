# Copyright (c) mmfba authors.
"""Two network namespaces of this machine, which only a link connects."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

ADDRESSES = ('10.77.0.1', '10.77.0.2')
INTERFACE = 'link0'
"""In both; gloo has to be told, since names of hosts lead elsewhere."""


@contextmanager
def two_machines(
    rate: Optional[str] = None,
) -> Iterator[Tuple[str, ...]]:
    """Connect two namespaces by a link, of a ``rate`` such as '1gbit' in each
    direction if one is given. Yields what precedes a command of each.

    Raises:
        PermissionError: If namespaces cannot be made here.
    """
    names = [f'mmfba-{os.getpid()}-{i}' for i in range(2)]
    if shutil.which('ip') is None:
        raise PermissionError('there is no `ip` (iproute2)')
    try:
        for name in names:
            _run(f'ip netns add {name}')
        _run(
            f'ip link add {INTERFACE} netns {names[0]} type veth '
            f'peer name {INTERFACE} netns {names[1]}'
        )
        for name, address in zip(names, ADDRESSES):
            _run(f'ip -n {name} addr add {address}/24 dev {INTERFACE}')
            for interface in ('lo', INTERFACE):
                _run(f'ip -n {name} link set {interface} up')
            if rate is not None:
                # A short queue: what is small does not wait long in it.
                _run(
                    f'tc -n {name} qdisc add dev {INTERFACE} root tbf '
                    f'rate {rate} burst 256kb latency 5ms'
                )
        yield tuple(
            f'ip netns exec {name} env GLOO_SOCKET_IFNAME={INTERFACE}'
            for name in names
        )
    finally:
        for name in names:
            subprocess.run(
                ['ip', 'netns', 'delete', name], stderr=subprocess.DEVNULL
            )


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(f'`{command}`: {done.stderr.strip()}')
