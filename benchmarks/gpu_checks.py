# Copyright (c) mmfba authors.
"""What must hold on a GPU: targets equal to mmdet's, no step that waits."""

import torch
from mmdet.models.utils import unpack_gt_instances
from mmengine.config import Config

from mmfba.analysis.benchmark import ArmRun
from mmfba.local_config import complete
from mmfba.models.anchor_targets import AnchorTargets

CONFIG = 'configs/local_fpn/local-fpn-k4_retinanet_r50_fpn_1x_coco.py'
LEAN = {'model.bbox_head.loss_cls.type': 'mmfba.LeanSigmoidFocalLoss'}
SHAPE = (800, 1344)


def main() -> None:
    """Run the checks; the first that fails ends them."""
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(LEAN)
    complete(cfg)
    run = ArmRun(cfg, 'local+fast', 2, SHAPE, 'cuda')
    check_targets(run)
    for _ in range(3):
        run.step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    run.step()
    torch.cuda.set_sync_debug_mode('default')
    print('a step of local+fast waits for nothing')
    with torch.profiler.profile() as profile:
        run.step()
        torch.cuda.synchronize()
    events = profile.key_averages()
    kernels = sum(event.self_device_time_total for event in events)
    print(f'kernels of a step take {kernels / 1e3:.1f} ms')


def check_targets(run: ArmRun) -> None:
    """Those of 100 random batches, bit for bit."""
    head, (_, samples) = run.model.bbox_head, run.batch
    strides = head.prior_generator.strides
    sizes = [tuple(-(-s // d) for s, d in zip(SHAPE, p)) for p in strides]
    targets = AnchorTargets(head, [head])
    for _ in range(100):
        for sample in samples:
            boxes = sample.gt_instances.bboxes
            corners = torch.rand_like(boxes).view(-1, 2, 2).sort(1)[0]
            boxes.copy_(corners.view(-1, 4) * boxes.new_tensor(SHAPE * 2))
        gts, ignored, metas = unpack_gt_instances(samples)

        def found(gts=gts, ignored=ignored, metas=metas):
            anchors, valid = head.get_anchors(sizes, metas, 'cuda')
            return head.get_targets(anchors, valid, gts, metas, ignored)

        *expected, count = found()
        with targets.of_batch(samples):
            *got, own = found()
        assert own.item() == count
        for mine, theirs in zip(got, expected):
            assert all(map(torch.equal, mine, theirs))
    print('targets of 100 batches are those of mmdet')


if __name__ == '__main__':
    main()
