# Copyright (c) mmfba authors.
import pytest
import torch
from fault_configs import classifier_config, detector_config
from mmdet.registry import RUNNERS as MMDET_RUNNERS
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from run_tool import load_tool

from mmfba.engine.runner_class import runner_class


class Built(BaseException):
    """No error of a user."""


class CountingRunner(Runner):
    @classmethod
    def from_cfg(cls, cfg):
        raise Built(cls.__name__)


class CountingDetRunner(CountingRunner):
    pass


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    RUNNERS.register_module(module=CountingRunner, force=True)
    MMDET_RUNNERS.register_module(module=CountingDetRunner, force=True)
    yield
    RUNNERS.module_dict.pop('CountingRunner')
    MMDET_RUNNERS.module_dict.pop('CountingDetRunner')


@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.parametrize(
    'make, kind',
    [
        (classifier_config, 'CountingRunner'),
        (detector_config, 'CountingDetRunner'),
        (detector_config, 'mmdet.CountingDetRunner'),
    ],
)
def test_the_tools_take_the_runner_of_the_config(tool, make, kind, tmp_path):
    """A local model's too, where it is a subclass of the Runner."""
    cfg = make(tmp_path)
    cfg.runner_type = kind
    cfg.dump(str(tmp_path / 'config.py'))
    argv = [str(tmp_path / 'config.py')]
    if tool == 'test':
        torch.save(dict(state_dict={}), tmp_path / 'weights.pth')
        argv.append(str(tmp_path / 'weights.pth'))
    with pytest.raises(Built, match=f'^{kind.split(".")[-1]}$'):
        load_tool(tool).main(argv)


def test_an_unknown_runner():
    with pytest.raises(
        ValueError, match="runner_type='CuntingRunner'.*custom"
    ):
        runner_class(Config(dict(runner_type='CuntingRunner')))
