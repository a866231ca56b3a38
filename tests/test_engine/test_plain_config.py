# Copyright (c) mmfba authors.
import pytest
from mmengine.config import Config
from run_tool import ROOT

from mmfba.engine.plain_config import own_types, plain_config


@pytest.mark.parametrize(
    'fba, bp, left',
    [
        (
            'fba-k16_resnet32_1xb128-2e_fashion-mnist',
            'resnet32_1xb128-2e_fashion-mnist',
            ['mmfba.CIFARResNet'],
        ),
        (
            'fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes',
            'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes',
            [],
        ),
        (
            'fba-k4_edsr_x2c64b16_1xb16-2k_photographs',
            'edsr_x2c64b16_1xb16-2k_photographs',
            [],
        ),
    ],
)
def test_is_the_config_of_plain_training(fba, bp, left):
    before = Config.fromfile(ROOT / f'configs/fba/{fba}.py')
    text = str(before)
    plain = plain_config(before)
    assert str(before) == text
    expected = Config.fromfile(ROOT / f'configs/bp/{bp}.py')
    expected.default_hooks.pop('plain_checkpoint')
    # RetinaNet adds nothing to its base class.
    expected.model.type = plain.model.type
    if 'bbox_head' in expected.model:
        loss = expected.model.bbox_head.loss_cls
        assert loss.pop('type') == 'mmfba.LeanSigmoidFocalLoss'
        assert plain.model.bbox_head.loss_cls.pop('type') == 'mmdet.FocalLoss'
    plain.optim_wrapper.setdefault('type', 'OptimWrapper')
    expected.optim_wrapper.setdefault('type', 'OptimWrapper')
    for key in ('model', 'default_hooks', 'optim_wrapper', 'test_dataloader'):
        assert plain[key] == expected[key], key
    assert own_types(plain) == left


def test_a_recipe_goes():
    name = 'fba_paper/fba-s1-k4_retinanet_r34_fpn_1xb64-90e_coco'
    before = Config.fromfile(ROOT / f'configs/{name}.py')
    assert 'paper' in before and 'train_pipeline' in before
    plain = plain_config(before)
    assert 'paper' not in plain and 'train_pipeline' in plain
    assert own_types(plain) == []


def test_what_belongs_to_local_learning_goes():
    cfg = Config(
        dict(
            model=dict(type='mmfba.LocalEditModel', local_learning=dict()),
            optim_wrapper=dict(
                type='mmfba.AmpLocalLearningOptimWrapper',
                nonfinite='skip',
                paramwise_cfg=dict(
                    custom_keys=dict(
                        local_aux=dict(lr_mult=2), generator=dict(lr_mult=3)
                    )
                ),
            ),
            default_hooks=dict(
                bank=dict(type='mmfba.FeatureBankHook'),
                timer=dict(type='IterTimerHook'),
                logger=None,
            ),
            custom_hooks=[
                dict(type='mmfba.MemoryProfileHook'),
                dict(type='EMAHook'),
            ],
        )
    )
    assert plain_config(cfg).to_dict() == dict(
        model=dict(type='mmagic.BaseEditModel'),
        optim_wrapper=dict(
            type='AmpOptimWrapper',
            paramwise_cfg=dict(
                custom_keys=dict(generator=dict(lr_mult=3)),
            ),
        ),
        default_hooks=dict(timer=dict(type='IterTimerHook'), logger=None),
        custom_hooks=[dict(type='EMAHook')],
    )


@pytest.mark.parametrize(
    'cfg', [dict(), dict(model=dict(type='RetinaNet'))], ids=str
)
def test_refuses_a_plain_model(cfg):
    with pytest.raises(ValueError, match="'mmfba.Local' and the name"):
        plain_config(Config(cfg))


def test_types_may_be_classes(tmp_path):
    pytest.importorskip('mmpretrain')
    (tmp_path / 'classes.py').write_text(CLASSES)
    plain = plain_config(Config.fromfile(tmp_path / 'classes.py'))
    assert own_types(plain) == ['mmfba.CIFARResNet']
    expected = dict(
        model=dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(
                type='mmfba.models.backbones.cifar_resnet.CIFARResNet',
                depth=20,
            ),
        ),
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='torch.optim.SGD', lr=1)
        ),
        default_hooks=dict(timer=dict(type='mmengine.hooks.IterTimerHook')),
    )
    text = plain.pretty_text
    assert Config.fromstring(text, '.py').to_dict() == expected


CLASSES = """
from mmengine.hooks import IterTimerHook
from torch.optim import SGD
from mmfba.engine.hooks import FeatureBankHook
from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper
from mmfba.models import LocalImageClassifier
from mmfba.models.backbones.cifar_resnet import CIFARResNet

model = dict(
    type=LocalImageClassifier,
    backbone=dict(type=CIFARResNet, depth=20),
    local_learning=dict(num_modules=3))
optim_wrapper = dict(
    type=LocalLearningOptimWrapper, optimizer=dict(type=SGD, lr=1))
default_hooks = dict(
    timer=dict(type=IterTimerHook), bank=dict(type=FeatureBankHook))
"""
