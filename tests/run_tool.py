# Copyright (c) mmfba authors.
"""Run a tool as a user does, in a process of its own, or import it."""

import importlib.util
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_tool(cwd, command: str, root: Path = ROOT, **environ: str) -> str:
    """Run, for example, ``'train.py det.py --resume'``, on the CPU.

    Args:
        cwd (Path): Working directory, where configs look for ``data/``.
        command (str): Path of a script in tools/, Python or shell, and its
            arguments.
        root (Path): The project.
        environ (str): Further variables of the environment.

    Returns:
        str: What it printed. It is asserted that it ended well.
    """
    tool, *args = shlex.split(command)
    # The package, and tiny_cifar10 for `custom_imports`.
    path = [root, root / 'tests', os.environ.get('PYTHONPATH')]
    env = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(str(p) for p in path if p),
        CUDA_VISIBLE_DEVICES='',
        **environ,
    )
    shell = tool.endswith('.sh')
    if shell:
        bin_dir = os.path.dirname(sys.executable)  # torchrun is there
        env.update(
            PATH=f'{bin_dir}{os.pathsep}{os.environ["PATH"]}',
            PORT=str(free_port()),
        )
    done = subprocess.run(
        ['bash' if shell else sys.executable, str(root / 'tools' / tool)]
        + args,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def free_port() -> int:
    """A port for processes to find each other."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def load_tool(name):
    """Import, for example, ``'train'``, to call its functions."""
    path = ROOT / 'tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'tools_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
