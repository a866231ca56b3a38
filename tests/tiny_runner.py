# Copyright (c) mmfba authors.
"""A Runner on four random images."""

import torch
from local_models import raw_data
from mmengine.runner import Runner


class _Data(torch.utils.data.Dataset):
    """Four images, one at a time, as a data set gives them."""

    metainfo = {}

    def __init__(self):
        batch = raw_data('classification', batch_size=4)
        self.items = [
            dict(inputs=i, data_samples=s)
            for i, s in zip(batch['inputs'], batch['data_samples'])
        ]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


SGD = dict(type='SGD', lr=0.01, momentum=0.9)


def make_runner(
    model, work_dir, wrapper=None, epochs=1, optimizer=SGD, **kwargs
):
    """A Runner that trains a classifier, as a config makes it."""
    wrapper = wrapper or 'mmfba.LocalLearningOptimWrapper'
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            dataset=_Data(),
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        optim_wrapper=dict(type=wrapper, optimizer=optimizer),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        default_scope='mmpretrain',
        default_hooks=dict(feature_bank=dict(type='mmfba.FeatureBankHook')),
        experiment_name=f'{work_dir.name}_{len(list(work_dir.iterdir()))}',
        log_level='ERROR',
        **kwargs,
    )
