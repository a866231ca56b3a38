# Copyright (c) mmfba authors.
"""What a config may say about processes; test_dist_tools.py runs them."""

import pytest
import torch
from local_models import build, config
from mmengine.config import Config
from mmengine.model import (
    MMDistributedDataParallel,
    MMSeparateDistributedDataParallel,
)
from mmengine.runner import Runner
from tiny_runner import make_runner
from torch import distributed as dist

from mmfba.engine import processes
from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.processes import check_runner, several_processes

OURS = 'mmfba.LocalDistributedDataParallel'


@pytest.fixture
def backends(monkeypatch):
    """Which process groups would be started; there is no GPU."""
    started = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(
        dist, 'init_process_group', lambda *a, **kw: started.append((a, kw))
    )
    return started


def _set_up(cfg):
    with several_processes(cfg):
        pass
    return cfg


def _config(**keys):
    cfg = config('classification', num_modules=3)
    cfg.merge_from_dict(dict(dict(launcher='pytorch'), **keys))
    return cfg


def test_one_process_needs_nothing(backends):
    cfg = _config(launcher='none')
    before = cfg.pretty_text
    assert _set_up(cfg).pretty_text == before and not backends


def test_a_local_model_gets_its_wrapper(backends):
    assert _set_up(_config()).model_wrapper_cfg == dict(type=OURS)
    assert backends == [(('gloo',), {})]
    # And keeps what the user has set.
    mine = dict(type=OURS, bucket_cap_mb=1)
    assert _set_up(_config(model_wrapper_cfg=mine)).model_wrapper_cfg == mine


def test_types_may_be_classes(backends):
    pytest.importorskip('mmpretrain')
    from mmfba.models import LocalImageClassifier

    cfg = _config(runner_type=Runner)
    cfg.model.type = LocalImageClassifier
    assert _set_up(cfg).model_wrapper_cfg == dict(type=OURS)
    mine = dict(type=LocalDistributedDataParallel)
    cfg.model_wrapper_cfg = mine
    assert _set_up(cfg).model_wrapper_cfg == mine
    cfg.model_wrapper_cfg = dict(type=MMDistributedDataParallel)
    assert _set_up(cfg).model_wrapper_cfg.device_ids is None
    cfg.model_wrapper_cfg = dict(type=MMSeparateDistributedDataParallel)
    with pytest.raises(ValueError, match=f"'MMSeparateDist.*{OURS}"):
        _set_up(cfg)


@pytest.mark.parametrize(
    'wrapper', [None, dict(type='MMDistributedDataParallel')]
)
def test_a_plain_model_keeps_that_of_mmengine(wrapper, backends):
    cfg = Config(
        dict(
            model=dict(type='ImageClassifier'),
            launcher='pytorch',
            model_wrapper_cfg=wrapper,
            find_unused_parameters=True,
        )
    )
    found = _set_up(cfg).model_wrapper_cfg
    assert found.type == 'MMDistributedDataParallel'
    assert found.device_ids is None
    assert found.get('find_unused_parameters') == (wrapper is None or None)


def test_with_gpus_mmengine_starts_the_processes(backends, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert _set_up(_config()).model_wrapper_cfg.type == OURS
    assert not backends


def test_the_time_limit_is_that_of_the_config(backends):
    _set_up(_config(env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=60))))
    (((backend,), options),) = backends
    assert backend == 'gloo' and options['timeout'].total_seconds() == 60


def test_gradients_wait_as_long(backends):
    env = dict(dist_cfg=dict(backend='nccl', timeout=60))
    assert _set_up(_config(env_cfg=env)).model_wrapper_cfg.timeout == 60
    mine = dict(type=OURS, timeout=5)
    cfg = _set_up(_config(env_cfg=env, model_wrapper_cfg=mine))
    assert cfg.model_wrapper_cfg.timeout == 5


@pytest.mark.parametrize('shared', [True, False])
def test_restarts_need_a_store_of_their_own(shared, backends, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', '3')
    monkeypatch.setenv('TORCHELASTIC_USE_AGENT_STORE', str(shared))
    if shared:
        with pytest.raises(ValueError, match=f'{processes.UNSHARED}=1'):
            _set_up(_config())
    else:
        _set_up(_config())


@pytest.mark.parametrize(
    'keys, words',
    [
        (dict(strategy=dict(type='FSDPStrategy')), "strategy={'type': 'FSDP"),
        (dict(strategy=dict(type='DeepSpeedStrategy')), 'dist_train.sh'),
        (dict(runner_type='FlexibleRunner'), "runner_type='FlexibleRunner'"),
        *(
            (
                dict(model_wrapper_cfg=dict(type=kind)),
                f"model_wrapper_cfg.type='{kind}'.*_delete_=True.*{OURS}",
            )
            for kind in (
                'MMSeparateDistributedDataParallel',
                'MMFullyShardedDataParallel',
                'Unknown',
            )
        ),
        (dict(launcher='slurm'), '--launcher=slurm.*dist_train.sh'),
    ],
)
def test_refusals(keys, words, backends):
    with pytest.raises(ValueError, match=words):
        _set_up(_config(**keys))
    assert not backends


def test_refusals_hold_with_the_tools_of_the_base_libraries(tmp_path):
    runner = make_runner(build('classification', num_modules=3), tmp_path)

    class MMSeparateDistributedDataParallel(torch.nn.parallel.DataParallel):
        pass

    runner.model = MMSeparateDistributedDataParallel(runner.model)
    with pytest.raises(ValueError, match='MMSeparate.*' + OURS):
        runner.train()
    with pytest.raises(ValueError, match='FlexibleRunner as runner'):
        check_runner(type('FlexibleRunner', (), {})())


def test_gloo_ends_with_the_context(monkeypatch):
    ended = []
    monkeypatch.setattr(processes, '_set_up', lambda cfg: None)
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'get_backend', lambda: 'gloo')
    monkeypatch.setattr(dist, 'destroy_process_group', lambda: ended.append(1))
    with pytest.raises(KeyError), several_processes(Config()):
        raise KeyError
    assert ended
