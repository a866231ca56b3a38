# Copyright (c) mmfba authors.
from mmengine.config import Config

from mmfba.analysis.stretched_schedule import stretched_schedule


def test_what_counts_iterations_is_stretched():
    cfg = Config(
        dict(
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=12),
            param_scheduler=[
                dict(type='LinearLR', by_epoch=False, begin=0, end=500),
                dict(type='MultiStepLR', by_epoch=True, milestones=[8, 11]),
            ],
        )
    )
    assert stretched_schedule(cfg, 2) == {'param_scheduler.0.end': 1000}


def test_iteration_based_training():
    cfg = Config(
        dict(
            train_cfg=dict(
                type='IterBasedTrainLoop', max_iters=90, val_interval=30
            ),
            param_scheduler=dict(
                type='MultiStepLR', by_epoch=False, milestones=[60, 80]
            ),
        )
    )
    assert stretched_schedule(cfg, 3) == {
        'train_cfg.max_iters': 270,
        'train_cfg.val_interval': 90,
        'param_scheduler.milestones': [180, 240],
    }
