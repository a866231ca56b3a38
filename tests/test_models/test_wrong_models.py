# Copyright (c) mmfba authors.
"""Wrong models, each with one line that helps.

A case is what the user writes and what the message has to name: the key, the
value, and the remedy.
"""

import re

import pytest
from local_models import DETECTOR, build, config
from mmengine.hub import get_config

from mmfba.engine.user_errors import one_line_errors
from mmfba.models.build_model import build_model

BFP = dict(type='BFP', in_channels=16, num_levels=5)
BALANCED = dict(partition=dict(type='mmfba.BalancedPartition'))


def _neck(**neck):
    return dict(auxiliary=dict(neck=neck))


def _head(**head):
    return dict(auxiliary=dict(head=head))


def _balanced(**args):
    return dict(partition=dict(type='mmfba.BalancedPartition', **args))


# model.local_learning, and words of the message in their order
OPTIONS = {
    'classification': [
        (dict(num_modules=0), 'num_modules=0: .*integer from 1 to 10'),
        (dict(num_modules=-1), 'num_modules=-1: .*from 1 to 10'),
        (dict(num_modules=10**6), 'num_modules=1000000: .*from 1 to 10'),
        (dict(num_modules=3.5), r'num_modules=3\.5: .*integer'),
        (dict(num_modules='4'), "num_modules='4': .*integer"),
        (dict(num_modules=True), 'num_modules=True: .*integer'),
        (dict(nm_modules=3), "'nm_modules'; did you mean 'num_modules'"),
        (dict(partition=5), 'partition=5: expected .*stage.*list'),
        (dict(partition='stages'), "partition='stages': .*'stage', 'uniform'"),
        (dict(partition=['layer1.9']), "'layer1.9'; did you mean.*layer1.0"),
        (dict(partition=[1]), 'no unit 1; units: .*layer1.0'),
        (
            dict(partition=['layer2.0', 'layer1.0']),
            "'layer1.0' is double or out of order in.*order .*'stem'",
        ),
        (
            dict(partition=['layer1.0', 'layer1.0']),
            "'layer1.0' is double .*name each unit once",
        ),
        (dict(partition=['layer3.2']), "'layer3.2' is the last .*main head"),
        (
            dict(partition=['layer1.0'], num_modules=3),
            'num_modules=3 .*make 2 modules: leave num_modules out',
        ),
        (
            dict(partition=dict(type='mmfba.BalancedPartitio')),
            "'mmfba.BalancedPartitio'.*did you mean.*BalancedPartition",
        ),
        (BALANCED, "missing .*'input_shape' and 'batch_size'"),
        (
            _balanced(input_shape=32, batch_size=2),
            r'input_shape=32.*expected \(height, width\)',
        ),
        (
            _balanced(input_shape=(32, 32), batch_size=0),
            'batch_size=0: .*number of images',
        ),
        (dict(taps=['layer9.9']), "taps: no feature 'layer9.9'; choose"),
        (dict(taps='layer1.0'), "taps='layer1.0': expected a list"),
        (
            dict(taps=['layer1.0.pooled'], **_neck(fusion='none')),
            r"taps: nobody reads \['layer1.0.pooled'\]: leave",
        ),
        (
            dict(taps=['layer1.0']),
            "taps: 'layer1.0' cannot be fused.*tap 'layer1.0.pooled'",
        ),
        (dict(timing='later'), "timing='later': .*'causal', 'two_pass'"),
        (
            dict(timing='two_pass', **_neck(fusion='none')),
            "timing='two_pass': .*leave timing out",
        ),
        (dict(backward='later'), "backward='later': .*'immediate', 'summed'"),
        (dict(lean_stem='maybe'), "lean_stem='maybe': expected a bool"),
        (dict(lean_stem=True), 'lean_stem: .*MaxPool2d: leave lean_stem out'),
        (dict(chunk=0), 'chunk=0: .*integer of at least 1'),
        (dict(chunk=2), 'chunk=2: .*no image-wise loss.*leave chunk out'),
        (dict(checkpoint=3), 'checkpoint=3: .*indices of local modules'),
        (dict(checkpoint=[7]), r'checkpoint=\[7\]: .*from 0 to 3'),
        (dict(loss_weight=0), 'loss_weight=0: .*number above 0'),
        (dict(loss_weight=float('nan')), 'loss_weight=nan: .*above 0'),
        (dict(loss_weight=float('inf')), 'loss_weight=inf: .*above 0'),
        (dict(loss_weight=[1, 2]), r'loss_weight=\[1, 2\]: .*a number'),
        (dict(loss_weight='heavy'), "loss_weight='heavy': expected a number"),
        (dict(auxiliary='fba'), "auxiliary='fba': expected a dict"),
        (_neck(type='mmfba.SLMNek'), "'mmfba.SLMNek'.*'mmfba.SLMNeck'"),
        (dict(auxiliary=dict(neck='x')), "auxiliary.neck='x': .* a dict"),
        (
            dict(auxiliary=dict(type='FBAAuxiliary')),
            "'FBAAuxiliary'.*did you mean.*'mmfba.FBAAuxiliary'",
        ),
        (_neck(type='mmfba.SLMFPN'), 'neck.type: .*GlobalAverage.*another'),
        (_neck(mode='chain'), "neck.mode='chain': .*'stage_chain'"),
        (_neck(fusion='sum'), "neck.fusion='sum': choose .*'add'"),
        (_neck(channel_ratio=0), 'channel_ratio=0: .*above 0'),
        (_neck(channel_ratio='big'), "channel_ratio='big': .*a number"),
        (_neck(blocks_per_stage=-1), 'blocks_per_stage=-1: .*at least 0'),
        (
            _neck(blocks=2),
            r'SLMNeck\(.*blocks=2.*unexpected .*blocks.*; it takes .*mode, '
            'channel_ratio, blocks_per_stage, fusion',
        ),
        (_head(mode='thin'), "head.mode='thin': choose .*'slim'"),
        (_head(mode='slim'), "head.mode='slim': .*use mode='copy'"),
        (_head(type='mmfba.SRHead'), 'mmfba.SRHead .*use mmfba.TaskHead'),
    ],
    'detection': [
        (_neck(type='mmfba.SLMNeck'), 'SLMNeck .*levels of FPN: use mmfba'),
        (
            dict(
                auxiliary=dict(
                    neck=dict(out_channels=8), head=dict(mode='shared')
                )
            ),
            "head.mode='shared': .*neck.out_channels=16",
        ),
        (
            _neck(mode='stage_tail'),
            r"BankFPN\(mode='stage_tail'\): .*; it takes .*fusion",
        ),
    ],
    'super-resolution': [
        (
            dict(
                auxiliary=dict(
                    neck=dict(channel_ratio=2.0), head=dict(mode='copy')
                )
            ),
            "head.mode='copy': .*takes 8 channels.*channel_ratio=1.0",
        ),
        (dict(taps=['stem.pooled']), "'stem.pooled' cannot.*tap 'stem'"),
        (_head(type='mmfba.TaskHead'), 'TaskHead .*use mmfba.SRHead'),
    ],
}
# Other keys of the model
MODELS = [
    ('classification', dict(local_learning=4), 'local_learning=4: .*a dict'),
    ('classification', dict(backbone=None), 'backbone=None.*should be a dict'),
    ('classification', {'backbone.depth': 21}, 'depth=21: .*6n\\+2'),
    (
        'classification',
        {'head.loss.type': 'CrossEntropyLos'},
        "'CrossEntropyLos'.*'CrossEntropyLoss'",
    ),
    ('classification', {'head.num_classes': 0}, 'num_classes=0 must be'),
    ('detection', {'backbone.frozen_stages': 4}, 'frozen: .*nothing'),
    (
        'detection',
        {
            'backbone.frozen_stages': 1,
            'local_learning.partition': ['layer1.0'],
        },
        "'layer1.0' lies in the frozen prefix.*lower frozen_stages",
    ),
    ('detection', {'backbone.depth': 19}, 'depth=19.*invalid depth 19'),
    (
        'detection',
        {'backbone.type': 'MobileNetV2'},
        'MobileNetV2.*base_channels',
    ),
    (
        'detection',
        {'bbox_head.type': 'RetinaHed'},
        "'RetinaHed'.*'RetinaHead'",
    ),
    (
        'detection',
        dict(type='mmfba.LocalSingleStageDetectr'),
        'did you mean.*LocalSingleStageDetector',
    ),
    (
        'detection',
        dict(type='RetinaNet'),
        "RetinaNet.*unexpected.*'local_learning'",
    ),
    (
        'detection',
        dict(type='mmfba.LocalImageClassifier'),
        "ImageClassifier.*unexpected.*'bbox_head'",
    ),
    (
        'classification',
        dict(queue_len=4),
        "^error: model.type='mmfba.LocalImageClassifier' has the unexpected "
        "keys .*'queue_len'.*the keys .*'backbone', 'neck', 'head'",
    ),
    (
        'classification',
        dict(haed=dict(type='LinearClsHead')),
        "'haed'.*did you mean 'head'",
    ),
    (
        'detection',
        dict(rpn_head=dict(type='RPNHead'), roi_head=dict()),
        "^error: model.type='mmfba.LocalSingleStageDetector' has the "
        "unexpected keys .*'rpn_head', 'roi_head'.*the keys .*bbox_head",
    ),
    (
        'super-resolution',
        dict(discriminator=dict(type='ModifiedVGG'), gan_loss=dict()),
        "^error: model.type='mmfba.LocalEditModel' has the unexpected keys "
        ".*'discriminator', 'gan_loss'.*the keys .*generator",
    ),
    (
        'detection',
        {'backbone.type': 'ResNet_CIFAR'},
        r"in \['mmpretrain'\].*type='mmpretrain.ResNet_CIFAR'",
    ),
]

# A neck and an auxiliary neck that does not suit it
NECKS = [
    (
        [DETECTOR['neck'], BFP],
        dict(type='mmfba.BankFPN'),
        "is a FPN \\+ BFP: use type='mmfba.SLMFPN'",
    ),
    (
        [DETECTOR['neck'], BFP],
        dict(out_channels=8),
        'out_channels=8: FPN \\+ BFP .* 16 channels: leave out_channels out',
    ),
    (
        [DETECTOR['neck'], BFP],
        dict(type='mmfba.SLMNeck'),
        'SLMNeck .*levels of FPN \\+ BFP: use mmfba',
    ),
    (
        dict(
            type='CTResNetNeck',
            in_channels=64,
            num_deconv_filters=[16],
            num_deconv_kernels=[4],
            use_dcn=False,
        ),
        dict(type='mmfba.ConvLevel'),
        'CTResNetNeck returns no such level of stage 4: choose another',
    ),
    (
        dict(
            type='DilatedEncoder',
            in_channels=64,
            out_channels=16,
            block_mid_channels=8,
            num_residual_blocks=1,
            block_dilations=[2],
        ),
        dict(type='mmfba.SLMNeck', mode='stage_tail'),
        "stage 1 does not give DilatedEncoder .*mode='stage_chain'",
    ),
]

CASES = [
    (task, {f'local_learning.{k}': v for k, v in options.items()}, words)
    for task, cases in OPTIONS.items()
    for options, words in cases
] + MODELS


def _message(function, *args):
    """The one line that a user sees."""
    with pytest.raises(SystemExit) as caught, one_line_errors():
        function(*args)
    assert caught.value.code.startswith('error: ')
    assert len(caught.value.code) < 1000
    return caught.value.code


@pytest.mark.parametrize('task, options, words', CASES)
def test_wrong_models(task, options, words):
    cfg = config(task)
    cfg.merge_from_dict({f'model.{k}': v for k, v in options.items()})
    assert re.search(words, _message(build_model, cfg))


STOCK = [
    ('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', 'FasterRCNN'),
    ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', 'RetinaNet'),
]


@pytest.mark.parametrize('name, kind', STOCK)
def test_plain_types_do_not_learn_locally(name, kind):
    cfg = get_config(name)
    cfg.model.local_learning = dict(num_modules=4)
    words = _message(build_model, cfg)
    assert words.startswith(f'error: model.type={kind}: unexpected keyword')
    assert "'mmfba.LocalFasterRCNN'" in words and '\n' not in words


def test_a_name_that_needs_its_scope():
    cfg = config('detection')
    cfg.pop('default_scope')
    cfg.model.type = 'RetinaNet'
    words = _message(build_model, cfg)
    assert re.search("'mmdet.RetinaNet'.*default_scope='mmdet'", words)
    assert 'did you mean' not in words


def test_classifiers_of_modules():
    """mmpretrain takes modules for configs."""
    options = dict(num_modules=3)
    whole = build('classification', **options)
    cfg = config('classification', **options)
    for key in ('backbone', 'neck', 'head'):
        cfg.model[key] = getattr(build('classification'), key)
        if key == 'backbone':
            found = build_model(cfg).state_dict()
            expected = whole.state_dict()
            assert found.keys() == expected.keys()
            assert all(found[k].shape == v.shape for k, v in expected.items())
            continue
        words = f'model.{key} is a {type(cfg.model[key]).__name__}.*as a dict'
        assert re.search(words, _message(build_model, cfg))
        cfg.model[key] = config('classification').model[key]
    cfg.model.local_learning = dict(num_modules=1)
    cfg.model.update(head=build('classification').head)
    assert not build_model(cfg).local_aux


@pytest.mark.parametrize('neck, auxiliary, words', NECKS)
def test_auxiliary_necks_that_do_not_suit_the_neck(neck, auxiliary, words):
    # The last cut is in the last stage, the first at the stem.
    cuts = ['layer4.0'] if 'Level' in str(auxiliary) else ['stem']
    cfg = config('detection', partition=cuts, auxiliary=dict(neck=auxiliary))
    cfg.model.neck = neck
    assert re.search(words, _message(build_model, cfg))


def test_more_modules_than_there_are_before_the_tail():
    few = dict(generator=dict(num_blocks=2))
    with pytest.raises(ValueError, match='expected an integer from 1 to 3'):
        build('super-resolution', few, num_modules=4)
