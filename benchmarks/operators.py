# Copyright (c) mmfba authors.
"""How many operators a training step of stock configs runs, on a CPU.

Usage: python benchmarks/operators.py [OUT.json]
"""

import sys
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.hub import get_config

from mmfba.analysis.benchmark import ArmRun
from mmfba.analysis.environment import write_result
from mmfba.analysis.operators import OperatorCount
from mmfba.local_config import localise

OUT = Path(__file__).parent / 'results/operators.json'
EDSR = 'configs/bp/edsr_x2c64b16_1xb16-300k_div2k.py'
CONFIGS = {
    'RetinaNet-R50': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'FCOS-R50': 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'ATSS-R50': 'mmdet::atss/atss_r50_fpn_1x_coco.py',
    'GFL-R50': 'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    'VFNet-R50': 'mmdet::vfnet/vfnet_r50_fpn_1x_coco.py',
    'Faster R-CNN-R50': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'ResNet-50': 'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    'Swin-T': 'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py',
    'EDSR x2': EDSR,
}
COPIES = ('FCOS-R50', 'ATSS-R50', 'GFL-R50', 'VFNet-R50')
"""Whose auxiliary heads could be copies of the main one, but are not."""
SIDES = dict(mmdet=256, mmpretrain=224, mmagic=24)
BATCH = 2


def main() -> None:
    """Count, print and write."""
    out = Path(sys.argv[1]) if sys.argv[1:] else OUT
    rows = []
    for name, path in CONFIGS.items():
        row = dict(
            model=name,
            config=path,
            plain=operators(path, 'bp'),
            plain_fused=operators(path, 'bp', fused=True),
            local=operators(path, 'local'),
            local_fused=operators(path, 'local', fused=True),
        )
        if name in COPIES:
            head = dict(head=dict(type='mmfba.TaskHead'))
            row['copies'] = operators(path, 'local', head)
        print(row, flush=True)
        rows.append(row)
    write_result(out, 'cpu', indent=2, batch=BATCH, sides=SIDES, rows=rows)


def operators(
    path: str, arm: str, auxiliary: Optional[dict] = None, fused: bool = False
) -> int:
    """Operators of a step from random weights, the second.

    Args:
        path (str): A plain config.
        arm (str): ``'bp'``, or ``'local'`` for local learning with K=4.
        auxiliary (dict, optional): Of ``model.local_learning``.
        fused (bool): Whether the optimizer is fused; else it works on lists,
            as PyTorch does on a GPU.
    """
    cfg = get_config(path) if '::' in path else Config.fromfile(path)
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None
    cfg.optim_wrapper.optimizer.update(fused=fused, foreach=not fused)
    cfg = localise(cfg, 4, auxiliary=auxiliary or {})
    side = SIDES[cfg.get('default_scope', 'mmdet')]
    run = ArmRun(cfg, arm, BATCH, (side, side), 'cpu')
    run.step()
    with OperatorCount() as counted:
        run.step()
    return counted.operators


if __name__ == '__main__':
    main()
