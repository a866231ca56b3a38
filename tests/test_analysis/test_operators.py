# Copyright (c) mmfba authors.
import copy

import pytest
import torch
from local_models import config
from mmengine.config import Config

from mmfba.analysis.benchmark import ArmRun, benchmark
from mmfba.analysis.operators import OperatorCount
from mmfba.local_config import complete

RETINANET = 'configs/local_fpn/local-fpn-k4_retinanet_r50_fpn_1x_coco.py'
SHAPE = (800, 1344)


def load(path=RETINANET):
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(
        {'model.bbox_head.loss_cls.type': 'mmfba.LeanSigmoidFocalLoss'}
    )
    complete(cfg)
    return cfg


def count(run):
    with OperatorCount() as counted:
        run()
    return counted.operators, counted.syncs


@pytest.mark.parametrize(
    'run, operators, syncs',
    [
        (lambda x: x + 1, 1, 0),
        (lambda x: x.add(1).mul(2), 2, 0),
        (lambda x: torch.ones(3).to(x.device), 2, 1),
        (lambda x: torch.where(x > 0, x, 0.0), 3, 0),
        (lambda x: x.masked_fill_(x > 0, 0.0), 2, 0),
    ],
)
def test_of_a_few(run, operators, syncs):
    x = torch.empty(3, device='meta')
    counted = count(lambda: run(x))
    assert counted[1] == syncs
    assert counted[0] >= operators


def test_on_a_cpu_nothing_is_waited_for():
    x = torch.ones(3)
    assert count(lambda: (x.sum().item(), x.nonzero(), x[x > 0]))[1] == 0


def test_a_step_of_a_detector_reads_no_value():
    """Targets are assigned on the meta device, which has none to read."""
    run = ArmRun(load(), 'local+fast', 2, SHAPE, 'meta')
    run._step()
    assert count(run._step)[1] == 0


def test_operators_of_a_step():
    """Few enough that a GPU need not wait for Python."""
    arms = ['bp', 'local', 'local+fast', 'local+fast+stem+chunk+checkpoint2']
    rows, _ = benchmark(load(), arms, 2, SHAPE)
    bp, fba, fast, lean = rows
    plain = 2921  # bp before targets were assigned for all images at once
    assert fba['operators'] <= 1.1 * plain
    assert lean['operators'] <= 1.35 * plain
    assert fba['operators'] <= 1.5 * bp['operators']
    assert bp['syncs'] <= 5 and fba['syncs'] <= 5
    assert fast['syncs'] == lean['syncs'] == 0


def test_heads_that_share_no_targets():
    """ATSS assigns by a rule of its own; its copies would do so as well."""
    cfg = config('detection', num_modules=4)
    cfg.model.bbox_head.update(
        type='ATSSHead',
        norm_cfg=dict(type='GN', num_groups=4),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='GIoULoss'),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )
    cfg.model.train_cfg = dict(
        assigner=dict(type='ATSSAssigner', topk=9),
        allowed_border=-1,
        pos_weight=-1,
    )
    copies = copy.deepcopy(cfg)
    copies.model.local_learning.auxiliary = dict(
        head=dict(type='mmfba.TaskHead')
    )
    arms = ((cfg, 'bp'), (cfg, 'local'), (copies, 'local'))
    runs = [ArmRun(*arm, 2, (128, 128), 'cpu') for arm in arms]
    bp, fba, copied = (count(run.step)[0] for run in runs)
    assert fba < 2 * bp < 0.7 * copied
