# Copyright (c) mmfba authors.
"""Step time on many GPUs, on paper: FLOPs and bytes of each local module are
counted on the meta device, the rest is the model that docs/scaling.md tells.

    python benchmarks/scaling.py
"""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.hub import get_config
from step_model import BUCKET, FLOPS, LATENCY, NODE, NVLINK, WAYS, Module, Step
from torch.utils.flop_counter import FlopCounterMode

import mmfba
from mmfba.analysis.benchmark import ArmRun
from mmfba.analysis.environment import write_result
from mmfba.analysis.unit_costs import measure_units

NETWORKS = {
    'RetinaNet-R50': (
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        2,
        (800, 1344),
    ),
    'ViT-L/16': (
        'mmpretrain::vision_transformer/vit-large-p16_64xb64_in1k.py',
        64,
        (224, 224),
    ),
}
NUM_MODULES = 4
NETWORK = {'100 GbE': 12.5e9, '400 GbE': 50e9}  # of one node
GPUS = (1, 8, 64, 1024)
OUT = Path(__file__).parent / 'results/scaling.json'


def count_modules(
    config: str, batch_size: int, shape: tuple[int, int]
) -> list[Module]:
    """Count FLOPs and bytes of a stock config, cut into modules."""
    cfg = mmfba.localise(get_config(config), num_modules=NUM_MODULES)
    cfg.model.backbone.init_cfg = None
    plain = ArmRun(cfg, 'bp', batch_size, shape, 'meta')
    local = ArmRun(cfg, 'local', batch_size, shape, 'meta')
    model, counted = local.model, []
    with FlopCounterMode(display=False) as counter:
        model.learner.on_module = lambda _: counted.append(
            counter.get_total_flops()
        )
        local.step()
        counted.append(counter.get_total_flops())
    units = measure_units(
        model, model.options, batch_size, shape, checkpoint=False
    ).units
    modules = []
    for index, (start, stop) in enumerate(model.ranges):
        own = sum(unit.gradients for unit in units[start:stop])
        added = model.local_aux[index : index + 1].parameters()
        modules.append(
            Module(
                sum(unit.flops for unit in units[start:stop]),
                counted[index + 1] - counted[index],
                own,
                own + sum(p.nbytes for p in added),
            )
        )
    last = modules[-1]  # and the main head
    last.plain = plain.profile().flops / 3 - sum(m.plain for m in modules[:-1])
    last.plain_bytes = last.local_bytes = sum(
        p.nbytes for p in plain.model.parameters() if p.requires_grad
    ) - sum(m.plain_bytes for m in modules[:-1])
    return modules


def step_times(modules: list[Module]) -> list[dict[str, Any]]:
    """A row for each network and number of GPUs: seconds of each way."""
    rows = []
    for name, bandwidth in NETWORK.items():
        for gpus in GPUS:
            row = dict(network=name, gpus=gpus)
            for way, run in WAYS.items():
                step = Step(gpus, bandwidth)
                run(modules, step)
                row[way] = step.seconds
            rows.append(row)
    return rows


def main() -> None:
    """Count, predict and write ``results/scaling.json``."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=OUT)
    args = parser.parse_args()
    networks = {}
    for name, network in NETWORKS.items():
        modules = count_modules(*network)
        networks[name] = dict(
            config=network[0],
            batch_size=network[1],
            shape=network[2],
            modules=[asdict(module) for module in modules],
            rows=step_times(modules),
        )
    write_result(
        args.out,
        'meta',
        flops_per_second=FLOPS,
        latency_s=LATENCY,
        gpus_per_node=NODE,
        nvlink=NVLINK,
        bucket_bytes=BUCKET,
        networks=networks,
    )


if __name__ == '__main__':
    main()
