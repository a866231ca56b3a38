# Copyright (c) mmfba authors.
"""MMEngine's option ``compile`` computes what eager training does."""

import pytest
import torch
from local_models import build
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_runner import make_runner


class _Record(Hook):
    def __init__(self):
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.steps.append({n: v.item() for n, v in outputs.items()})


def train(folder, **cfg):
    folder.mkdir()
    record = _Record()
    model = build('classification', num_modules=2)
    runner = make_runner(model, folder, cfg=Config(cfg), custom_hooks=[record])
    runner.train()
    return record.steps, model.state_dict()


@pytest.mark.parametrize(
    'backend',
    ['eager', pytest.param('inductor', marks=pytest.mark.slow)],
)
def test_losses_are_those_of_eager(tmp_path, backend):
    torch._dynamo.reset()
    steps, weights = train(tmp_path / 'eager')
    compiled, others = train(
        tmp_path / 'compiled', compile=dict(backend=backend)
    )
    assert len(steps) == 2 and 'aux0/total' in steps[0]
    for one, other in zip(steps, compiled):
        assert one == pytest.approx(other, rel=1e-6)
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, msg=name)
