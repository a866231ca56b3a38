# Copyright (c) mmfba authors.
"""From a plain config to one of local learning, in one line."""

import copy

import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.optim import OptimWrapper

import mmfba
from mmfba.local_config import complete, is_local

WRAPPER = 'mmfba.LocalLearningOptimWrapper'
STOCK = {
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': 'FasterRCNN',
    'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py': (
        'ImageClassifier'
    ),
    'mmagic::swinir/swinir_x2s48w8d6e180_8xb4-lr2e-4-500k_div2k.py': (
        'BaseEditModel'
    ),
}


@pytest.mark.parametrize('name', STOCK)
def test_localise_a_stock_config(name):
    stock = get_config(name)
    before = copy.deepcopy(stock._cfg_dict.to_dict())
    cfg = mmfba.localise(stock, num_modules=3, lean_stem=False)
    assert stock._cfg_dict.to_dict() == before
    assert cfg.model.type == f'mmfba.Local{STOCK[name]}'
    assert cfg.model.local_learning == dict(num_modules=3, lean_stem=False)
    wrapper = cfg.optim_wrapper
    assert wrapper.type == WRAPPER
    assert wrapper.optimizer == stock.optim_wrapper.optimizer
    assert cfg.default_hooks.feature_bank.type == 'mmfba.FeatureBankHook'
    cfg.default_hooks.pop('feature_bank')
    for key in ('train_dataloader', 'param_scheduler', 'default_hooks'):
        assert cfg.get(key) == stock.get(key)


def test_a_local_config_is_refused():
    cfg = Config(dict(model=dict(type='mmfba.LocalRetinaNet')))
    with pytest.raises(ValueError, match='num_modules=2'):
        mmfba.localise(cfg, 2)


@pytest.mark.parametrize(
    'wrapper, expected',
    [
        (dict(optimizer=dict(type='SGD')), WRAPPER),
        (dict(type='OptimWrapper'), WRAPPER),
        (dict(type=OptimWrapper), WRAPPER),
        (dict(type='AmpOptimWrapper'), 'mmfba.AmpLocalLearningOptimWrapper'),
        (dict(type='ApexOptimWrapper'), 'ApexOptimWrapper'),
        (dict(type='mmfba.AmpLocalLearningOptimWrapper'), None),
    ],
)
def test_what_trains_it_is_completed(wrapper, expected):
    model = dict(type='mmfba.LocalFasterRCNN')
    cfg = Config(dict(model=model, optim_wrapper=dict(wrapper)))
    complete(cfg)
    assert cfg.optim_wrapper.type == (expected or wrapper['type'])
    again = copy.deepcopy(cfg)
    complete(cfg)
    assert cfg._cfg_dict == again._cfg_dict


def test_a_hook_of_the_config_stays():
    hook = dict(type='mmfba.FeatureBankHook', log_interval=3)
    cfg = Config(
        dict(
            model=dict(type='mmfba.LocalRetinaNet'),
            default_hooks=dict(feature_bank=hook),
        )
    )
    complete(cfg)
    assert cfg.default_hooks.feature_bank == hook


def test_the_hook_is_there_once_or_not_at_all():
    model = dict(type='mmfba.LocalRetinaNet')
    hook = dict(type='mmfba.FeatureBankHook')
    cfg = Config(dict(model=model, custom_hooks=[hook]))
    complete(cfg)
    assert cfg.default_hooks == dict()
    cfg = Config(dict(model=model, default_hooks=dict(feature_bank=None)))
    complete(cfg)
    assert cfg.default_hooks == dict()
    with pytest.raises(ValueError, match='no model.type'):
        mmfba.localise(Config(dict()))


def test_a_plain_config_stays():
    cfg = Config(dict(model=dict(type='RetinaNet'), optim_wrapper=dict()))
    complete(cfg)
    assert cfg._cfg_dict == dict(
        model=dict(type='RetinaNet'), optim_wrapper=dict()
    )
    assert not is_local(cfg) and not is_local(Config(dict()))
