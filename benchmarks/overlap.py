# Copyright (c) mmfba authors.
"""Which gradients arrive in time when the link between two processes is slow.

The processes run in two network namespaces (root only) on a link of a given
rate. All arms take their steps in turn.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

RESULT = 'benchmarks/results/distributed/overlap.json'
RATE = '300mbit'  # of the link
SHAPE = (128, 128)  # of an image
BATCH = 1  # of a process


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--steps', type=int, default=10, help='of each arm')
    parser.add_argument('--out', type=Path, default=RESULT, help='JSON file')
    parser.add_argument('--rank', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Start a process on each side of the link."""
    args = parse_args()
    if args.rank is not None:
        run(args)
        return
    from two_machines import ADDRESSES, two_machines

    with two_machines(RATE) as machines:
        processes = [
            subprocess.Popen(
                [*machine.split(), sys.executable, *sys.argv]
                + ['--rank', str(rank)],
                env=dict(
                    os.environ,
                    MASTER_ADDR=ADDRESSES[0],
                    MASTER_PORT='29500',
                    OMP_NUM_THREADS='1',
                ),
            )
            for rank, machine in enumerate(machines)
        ]
        failed = [process.wait() for process in processes]
    if any(failed):
        raise SystemExit(f'exit status of the processes: {failed}')


def run(args: argparse.Namespace) -> None:
    """All arms, in one of the processes."""
    import torch
    import torch.distributed as dist
    from overlap_arms import ARMS, CONFIG, Arm, overlap_config

    from mmfba.analysis.environment import write_result

    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=args.rank, world_size=2)
    cfg = overlap_config()
    arms = [Arm(name, cfg, BATCH, SHAPE) for name in ARMS]
    for step in range(args.steps + 1):
        for arm in arms:
            dist.barrier()
            start = time.perf_counter()
            arm.step()
            dist.barrier()
            arm.seconds.append(time.perf_counter() - start)
            if step == 0:  # it warms up
                arm.clear()
    rows = [arm.row() for arm in arms]
    reference = rows[0]['step_seconds']
    for row in rows:
        row['step_time_ratio'] = row['step_seconds'] / reference
    if args.rank == 0:
        command = [x for x in sys.argv if x not in ('--rank', '0')]
        write_result(
            args.out,
            'cpu',
            command=f'OMP_NUM_THREADS=1 python {shlex.join(command)}',
            config=CONFIG,
            num_modules=4,
            rate=RATE,
            shape=SHAPE,
            batch=BATCH,
            steps=args.steps,
            rows=rows,
        )
    dist.barrier()
    os._exit(0)  # without destructors, which can wait for each other


if __name__ == '__main__':
    main()
