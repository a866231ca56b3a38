# Copyright (c) mmfba authors.
import pytest
import torch
from local_models import config
from mmdet.models.losses import FocalLoss
from mmengine.logging import MMLogger
from torch import nn

from mmfba.analysis.benchmark import ArmRun
from mmfba.analysis.meta_kernels import meta_kernels
from mmfba.local.memory import PeakTracker

ROWS, CLASSES = 4096, 80
LOGITS = ROWS * CLASSES * 4


def step(model, pred, target, **kwargs):
    tracker = PeakTracker()
    with tracker, meta_kernels():
        loss = model[0](pred, target, **kwargs)
        kept = tracker.current
        loss.backward()
    return loss, kept, tracker.peak


def test_focal_loss_needs_what_the_cuda_kernel_does():
    model = nn.Sequential(FocalLoss())
    pred = torch.empty(ROWS, CLASSES, device='meta', requires_grad=True)
    target = torch.empty(ROWS, dtype=torch.long, device='meta')
    weight = torch.empty(ROWS, device='meta')
    loss, kept, peak = step(model, pred, target, weight=weight, avg_factor=3)
    assert loss.shape == ()
    # Nothing of the logits' size is kept for the backward, which has the
    # gradient of the loss, of its weighting and of the logits.
    assert kept < 0.1 * LOGITS
    assert 2 * LOGITS < peak <= 4.2 * LOGITS


def test_other_targets_and_losses_stay_as_they_are():
    model = nn.Sequential(FocalLoss(), nn.Linear(2, 2))
    pred = torch.randn(8, 3, requires_grad=True)
    target = torch.nn.functional.one_hot(torch.arange(8) % 3)
    expected = FocalLoss()(pred, target)
    assert step(model, pred, target)[0].equal(expected)
    model = nn.Sequential(FocalLoss(activated=True))
    labels = torch.arange(8) % 3
    expected = FocalLoss(activated=True)(pred.sigmoid(), labels)
    assert step(model, pred.sigmoid(), labels)[0].equal(expected)


def test_no_hook_has_changed_a_head(caplog, monkeypatch):
    """A local model warns of what its auxiliary heads cannot follow."""
    cfg = config('detection', num_modules=3)
    cfg.model.bbox_head.loss_cls = dict(type='FocalLoss', use_sigmoid=True)
    run = ArmRun(cfg, 'local', 2, (64, 64), 'meta')
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    run.profile()
    assert 'cannot follow' not in caplog.text


def test_the_patch_ends_with_an_exception():
    from mmcv.ops import focal_loss

    kernels, forward = focal_loss.ext_module, FocalLoss.forward
    with pytest.raises(RuntimeError), meta_kernels():
        raise RuntimeError
    assert focal_loss.ext_module is kernels
    assert FocalLoss.forward is forward
