# Copyright (c) mmfba authors.
"""Any model by ``mmfba.Local<PlainClass>``: tiny ones of several families."""

import copy
import pickle

import pytest
import torch
from local_models import (
    CLASSIFIER,
    DETECTOR,
    EDITOR,
    bare_loss,
    data,
    gradients,
)
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope, init_default_scope

from mmfba.engine.plain_config import plain_config
from mmfba.models.local_classes import local_class, plain_name
from mmfba.registry import MODELS as LOCAL_MODELS


def classifier(in_channels, neck=True, **backbone):
    cfg = copy.deepcopy(CLASSIFIER)
    cfg.update(backbone=backbone, neck=CLASSIFIER['neck'] if neck else None)
    cfg['head']['in_channels'] = in_channels
    return 'mmpretrain', cfg, 'classification'


def two_stage():
    retina = copy.deepcopy(DETECTOR)
    train_cfg = dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5),
        sampler=dict(
            type='RandomSampler',
            num=32,
            pos_fraction=0.5,
            add_gt_as_proposals=False,
        ),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    )
    nms = dict(nms_pre=50, max_per_img=20, min_bbox_size=0)
    nms['nms'] = dict(type='nms', iou_threshold=0.7)
    cfg = dict(
        type='FasterRCNN',
        data_preprocessor=retina['data_preprocessor'],
        backbone=retina['backbone'],
        neck=dict(
            type='FPN',
            in_channels=[8, 16, 32, 64],
            out_channels=16,
            num_outs=5,
        ),
        rpn_head=dict(
            type='RPNHead',
            in_channels=16,
            feat_channels=16,
            anchor_generator=dict(
                type='AnchorGenerator',
                scales=[8],
                ratios=[0.5, 1.0],
                strides=[4, 8, 16, 32, 64],
            ),
        ),
        roi_head=dict(
            type='StandardRoIHead',
            bbox_roi_extractor=dict(
                type='SingleRoIExtractor',
                roi_layer=dict(type='RoIAlign', output_size=3),
                out_channels=16,
                featmap_strides=[4, 8, 16, 32],
            ),
            bbox_head=dict(
                type='Shared2FCBBoxHead',
                in_channels=16,
                fc_out_channels=16,
                roi_feat_size=3,
                num_classes=4,
                bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            ),
        ),
        train_cfg=dict(rpn=train_cfg, rpn_proposal=nms, rcnn=train_cfg),
        test_cfg=dict(
            rpn=nms,
            rcnn=dict(
                score_thr=0.0,
                nms=dict(type='nms', iou_threshold=0.5),
                max_per_img=20,
            ),
        ),
    )
    return 'mmdet', cfg, 'detection'


def editor(**generator):
    return 'mmagic', dict(EDITOR, generator=generator), 'super-resolution'


FAMILIES = dict(
    swin=classifier(
        128,
        type='SwinTransformer',
        arch=dict(embed_dims=16, depths=[1, 1, 2, 2], num_heads=[1, 1, 2, 2]),
        img_size=32,
        patch_size=2,
        pad_small_map=True,
        window_size=4,
        drop_path_rate=0.2,
    ),
    vit=classifier(
        16,
        neck=False,
        type='VisionTransformer',
        arch=dict(
            embed_dims=16,
            num_layers=5,
            num_heads=2,
            feedforward_channels=32,
        ),
        img_size=16,
        patch_size=4,
    ),
    mobilenet=classifier(1280, type='MobileNetV2', widen_factor=0.25),
    retinanet=('mmdet', DETECTOR, 'detection'),
    faster_rcnn=two_stage(),
    edsr=('mmagic', EDITOR, 'super-resolution'),
    rdn=editor(
        type='RDNNet',
        in_channels=3,
        out_channels=3,
        mid_channels=8,
        num_blocks=5,
        upscale_factor=2,
        num_layers=2,
        channel_growth=4,
    ),
    swinir=editor(
        type='SwinIRNet',
        upscale=2,
        in_chans=3,
        img_size=16,
        window_size=4,
        img_range=1.0,
        depths=[1, 1, 1, 1],
        embed_dim=8,
        num_heads=[1, 1, 1, 1],
        mlp_ratio=2,
        upsampler='pixelshuffle',
        resi_connection='1conv',
    ),
)


def build(family, **local_learning):
    """The plain model, or with options the same by local learning."""
    from mmengine.registry import MODELS

    scope, cfg, _ = FAMILIES[family]
    DefaultScope._instance_dict.clear()
    init_default_scope(scope)
    cfg = ConfigDict(copy.deepcopy(cfg))
    if local_learning:
        cfg.update(
            type=f'mmfba.Local{cfg.type}', local_learning=local_learning
        )
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    return model.train()


def step(model, family):
    """Losses and gradients of a training step."""
    batch = data(model, FAMILIES[family][2])
    torch.manual_seed(1)
    total, logs = model.parse_losses(bare_loss(model, batch))
    total.backward()
    return {k: v.item() for k, v in logs.items()}, gradients(model)


families = pytest.mark.parametrize('family', FAMILIES)


@families
def test_one_module_is_plain_training(family):
    plain, local = build(family), build(family, num_modules=1)
    assert plain.state_dict().keys() == local.state_dict().keys()
    (logs, grads), (own_logs, own_grads) = (
        step(plain, family),
        step(local, family),
    )
    assert own_logs == logs
    for name, grad in grads.items():
        both = grad, own_grads[name]
        assert (grad is None) == (both[1] is None), name
        assert grad is None or torch.equal(*both), name
    for name, value in plain.state_dict().items():
        assert value.equal(local.state_dict()[name]), name


@families
@pytest.mark.parametrize('options', [{}, dict(checkpoint=True)])
def test_immediate_backwards_give_the_summed_gradients(family, options):
    """And every parameter that plain training trains gets one."""
    _, plain = step(build(family), family)
    _, summed = step(build(family, num_modules=3, backward='summed'), family)
    model = build(family, num_modules=3, **options)
    assert model.learner.num_modules == 3
    _, grads = step(model, family)
    for name, grad in grads.items():
        if name in plain and plain[name] is None:
            continue
        assert grad is not None, name
        torch.testing.assert_close(grad, summed[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('taps', [['stem'], ['stem', 'rdbs.0']])
def test_the_bank_is_read_where_skips_start(taps):
    """What the bank gives and what skips give meet in one backward."""
    options = dict(partition=['rdbs.1', 'rdbs.2'], taps=taps)
    _, summed = step(build('rdn', **options, backward='summed'), 'rdn')
    _, grads = step(build('rdn', **options), 'rdn')
    for name, grad in grads.items():
        torch.testing.assert_close(grad, summed[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('family', ['mobilenet', 'swin', 'retinanet'])
def test_checkpointing_of_the_backbones_own(family):
    """It skips what needs no gradient of its input, nothing else."""
    model = build(family, num_modules=3)
    _, grads = step(copy.deepcopy(model), family)
    changed = 0
    for module in model.local_backbone.modules():
        if hasattr(module, 'with_cp'):
            module.with_cp, changed = True, changed + 1
    _, own = step(model, family)
    assert changed > 3
    for name, grad in grads.items():
        assert (grad is None) == (own[name] is None), name
        if grad is not None:
            torch.testing.assert_close(own[name], grad, rtol=1e-4, atol=1e-5)


@families
def test_main_weights_are_those_of_the_plain_model(family):
    plain, local = build(family), build(family, num_modules=3)
    own = local.state_dict()
    for name, value in plain.state_dict().items():
        assert value.equal(own[name]), name
    assert all(
        n.startswith('local_aux.')
        for n in own.keys() - plain.state_dict().keys()
    )


@pytest.mark.parametrize(
    'family, blocks, norms',
    [('swin', 3, True), ('mobilenet', 3, True), ('swinir', 1, False)],
)
def test_default_light_blocks(family, blocks, norms):
    """In restoration they keep the contrast of each image."""
    slm = build(family, num_modules=3).local_aux[0].neck.slm
    assert {len(stage) for stage in slm.stages.values()} == {blocks}
    kinds = {type(module).__name__ for module in slm.modules()}
    assert any('Norm' in kind for kind in kinds) == norms


def test_classes_are_made_once_and_pickled():
    made = local_class('LocalFasterRCNN') or LOCAL_MODELS.get(
        'LocalFasterRCNN'
    )
    assert LOCAL_MODELS.get('mmfba.LocalFasterRCNN') is made
    assert pickle.loads(pickle.dumps(made)) is made
    assert plain_name('mmfba.LocalFasterRCNN') == 'mmdet.FasterRCNN'
    assert plain_name('mmfba.SLMNeck') is None


def test_what_is_no_model_is_refused():
    init_default_scope('mmdet')
    with pytest.raises(ValueError, match='SSDNeck is no BaseDetector'):
        LOCAL_MODELS.get('mmfba.LocalSSDNeck')


@pytest.mark.parametrize('name', ['SRGAN', 'ESRGAN', 'TTSR', 'DIC'])
def test_a_model_with_a_step_of_its_own_is_refused(name):
    """It would train plainly, its auxiliary networks not at all."""
    init_default_scope('mmagic')
    with pytest.raises(ValueError, match=f'{name} has a train_step of its'):
        LOCAL_MODELS.get(f'mmfba.Local{name}')


def test_a_model_around_another_is_refused():
    init_default_scope('mmdet')
    cfg = dict(
        type='mmfba.LocalSoftTeacher', detector=ConfigDict(two_stage()[1])
    )
    cfg['semi_train_cfg'] = ConfigDict(freeze_teacher=True)
    with pytest.raises(ValueError, match='LocalSoftTeacher has no backbone'):
        LOCAL_MODELS.build(cfg)


def test_plain_config_of_any_local_model():
    _, cfg, _ = FAMILIES['faster_rcnn']
    local = dict(cfg, type='mmfba.LocalFasterRCNN', local_learning=dict())
    plain = plain_config(Config(dict(model=local, default_scope='mmdet')))
    assert plain.model == dict(cfg, type='mmdet.FasterRCNN')
