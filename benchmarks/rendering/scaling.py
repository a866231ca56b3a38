# Copyright (c) mmfba authors.
"""Step times on many GPUs, as benchmarks/scaling.py predicts them."""

import json

from .common import RESULTS

WAYS = ('DDP', 'LocalDDP', 'FSDP2', 'local FSDP2')


def scaling_table(*_) -> str:
    """Tables of ``scaling.json``: modules, then times, of each network."""
    result = json.loads((RESULTS / 'scaling.json').read_text())
    modules = [
        '| network | module | forward, GFLOP | step of the module, GFLOP | '
        'parameters, MB | with the auxiliary network, MB |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    times = [
        f'| network | between nodes | GPUs | {" | ".join(WAYS)} |',
        f'| --- | --- | --- |{" --- |" * len(WAYS)}',
    ]
    for name, network in result['networks'].items():
        height, width = network['shape']
        label = f'{name}, {network["batch_size"]}x{height}x{width}'
        modules += [
            f'| {label} | {index} | {module["plain"] / 1e9:.0f} | '
            f'{module["local"] / 1e9:.0f} | '
            f'{module["plain_bytes"] / 1e6:.0f} | '
            f'{module["local_bytes"] / 1e6:.0f} |'
            for index, module in enumerate(network['modules'])
        ]
        alone = network['rows'][0]['DDP']
        times += [
            f'| {name} | {row["network"]} | {row["gpus"]:,} | '
            + ' | '.join(f'{row[way] / alone:.2f}' for way in WAYS)
            + ' |'
            for row in network['rows']
        ]
    note = (
        "Time of a step by the model, to plain training's on one GPU. FLOPs "
        "and bytes: counted on PyTorch's meta device, "
        f'`{result["command"]}`, {result["date"]}, torch {result["torch"]}.'
    )
    return '\n'.join([*modules, '', *times, '', note])
