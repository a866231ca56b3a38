# Copyright (c) mmfba authors.
"""Wrong configs, files and command lines, each with one line that helps.

A case is what the user writes and what the message has to name: the key or
file, the value, and the remedy.
"""

import gc
import json
import logging
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from fault_configs import classifier_config, detector_config
from local_models import build, config
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from run_tool import ROOT, load_tool

from mmfba.engine.user_errors import TRACEBACK, explain, one_line_errors
from mmfba.models.build_model import build_model

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
        (dict(partition='stages'), "partition='stages': .*'uniform', 'stage'"),
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
        (dict(taps=['layer1.0']), r"taps: nobody reads \['layer1.0'\]: leave"),
        (
            dict(taps=['layer1.0'], **_neck(fusion='add')),
            "taps: 'layer1.0' cannot be fused.*tap 'layer1.0.pooled'",
        ),
        (dict(timing='later'), "timing='later': .*'causal', 'two_pass'"),
        (dict(timing='two_pass'), "timing='two_pass': .*leave timing out"),
        (dict(backward='later'), "backward='later': .*'immediate', 'summed'"),
        (dict(stem_unit='maybe'), "stem_unit='maybe': expected a bool"),
        (dict(ghost_bn=3), 'ghost_bn=3: expected a bool'),
        (dict(lean_stem=True), 'lean_stem: .*MaxPool2d: leave lean_stem out'),
        (dict(chunk=0), 'chunk=0: .*integer of at least 1'),
        (dict(chunk=2), 'chunk=2: .*no image-wise loss.*leave chunk out'),
        (dict(checkpoint=3), 'checkpoint=3: .*indices of local modules'),
        (dict(checkpoint=[7]), r'checkpoint=\[7\]: .*from 0 to 3'),
        (dict(micro_batches=0), 'micro_batches=0: .*above 0'),
        (dict(micro_batches=[2] * 4), 'micro_batches=.*at most 3: .*chunk'),
        (dict(loss_weight=0), 'loss_weight=0: .*numbers above 0'),
        (dict(loss_weight=float('nan')), 'loss_weight=nan: .*above 0'),
        (dict(loss_weight=float('inf')), 'loss_weight=inf: .*above 0'),
        (dict(loss_weight=[1, 2]), r'loss_weight=\[1, 2\]: .*3 numbers'),
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
        (_neck(blocks_per_stage=0), 'blocks_per_stage=0: .*at least 1'),
        (_neck(blocks=2), r'SLMNeck\(.*blocks=2.*unexpected .*blocks'),
        (_head(mode='thin'), "head.mode='thin': choose .*'slim'"),
        (_head(mode='slim'), "head.mode='slim': .*use mode='copy'"),
        (_head(type='mmfba.SRHead'), 'mmfba.SRHead .*use mmfba.TaskHead'),
    ],
    'detection': [
        (_neck(type='mmfba.SLMNeck'), 'SLMNeck .*levels of FPN: use mmfba'),
        (dict(micro_batches=2), 'micro_batches: .*ghost_bn=True'),
        (
            dict(
                auxiliary=dict(
                    neck=dict(out_channels=8), head=dict(mode='shared')
                )
            ),
            "head.mode='shared': .*neck.out_channels=16",
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
    (
        'detection',
        {'backbone.with_cp': True},
        'with_cp=True: .*checkpoint=True',
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
        dict(type='mmfba.LocalTwoStageDetector'),
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


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two configs with their data, and files that are no such."""
    root = tmp_path_factory.mktemp('bad_input')
    for name, make in (('cls', classifier_config), ('det', detector_config)):
        (root / name).mkdir()
        make(root / name).dump(str(root / f'{name}.py'))
    _write_checkpoints(root)
    _write_annotations(root / 'det/data')
    texts = dict(
        unclosed='model = dict(', empty='', raises='raise ValueError("no")'
    )
    texts['no_base'] = "_base_ = 'mmdet::retinanet/retinanet_r5.py'"
    for name, text in texts.items():
        (root / f'{name}.py').write_text(text)
    return root


def _write_checkpoints(root):
    state = build('detection').state_dict()
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    whole = dict(state_dict=state, meta=dict(iter=1, epoch=1), message_hub=hub)
    torch.save(whole, root / 'detector.pth')
    torch.save(dict(state_dict=state), root / 'weights.pth')
    torch.save(dict(whole, hub=HistoryBuffer()), root / 'objects.pth')
    torch.save([1], root / 'list.pth')
    data = (root / 'detector.pth').read_bytes()
    (root / 'cut_off.pth').write_bytes(data[:-1000])
    (root / 'text.pth').write_text('hello')
    (root / 'empty.pth').touch()


def _write_annotations(data):
    whole = json.loads(
        (data / 'annotations/instances_train2017.json').read_text()
    )
    for name, content in dict(
        no_images=dict(whole, images=[], annotations=[]),
        no_boxes=dict(whole, annotations=[]),
        nothing={},
    ).items():
        (data / f'{name}.json').write_text(json.dumps(content))
    (data / 'cut_off.json').write_text(json.dumps(whole)[:500])
    for name, image in dict(
        tiny=np.zeros((1, 1, 3), np.uint8), gray=np.zeros((80, 96), np.uint8)
    ).items():
        folder = data / name
        folder.mkdir()
        for i in range(1, 5):
            cv2.imwrite(str(folder / f'{i:012d}.jpg'), image)
    for name, content in dict(no_image=b'x', no_bytes=b'').items():
        (data / name).mkdir()
        for i in range(1, 5):
            (data / name / f'{i:012d}.jpg').write_bytes(content)


@pytest.fixture
def tool(folder, monkeypatch, tmp_path):
    """Runs a command line in this process."""
    # What takes most of the time, and no part in what is tested.
    monkeypatch.setattr(Runner, '_log_env', lambda *args: None)
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.setattr(gc, 'collect', lambda *args: 0)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.chdir(folder)
    logging.disable(logging.CRITICAL)

    def run(line):
        name, *argv = line.split()
        load_tool(name).main([*argv, '--work-dir', str(tmp_path / 'work')])
        return tmp_path / 'work'

    yield run
    logging.disable(logging.NOTSET)


DATASET = '--cfg-options train_dataloader.dataset.'
COMMANDS = [
    # the config file
    ('train none.py', 'none.py: .*No such file'),
    ('train unclosed.py', 'unclosed.py: .*SyntaxError: .*never closed'),
    ('train raises.py', 'raises.py: .*ValueError: no'),
    ('train empty.py', "KeyError: .*model|'model'"),
    ('train no_base.py', 'no_base.py: .*retinanet_r5.py.* not exist'),
    ('train text.pth', 'text.pth: .*Only py/yml/yaml/json'),
    # its keys
    (
        'train cls.py --cfg-options mdel.head.in_channels=3',
        "mdel.head.in_channels=3: .*did you mean 'model'",
    ),
    (
        'train cls.py --cfg-options optim_wrapper.type=OptimWrapper',
        "type='OptimWrapper' .*set .*mmfba.LocalLearningOptimWrapper",
    ),
    (
        'train cls.py --cfg-options '
        'optim_wrapper.type=mmfba.LocalLearningOptimWraper',
        "'mmfba.LocalLearningOptimWraper'.*'mmfba.LocalLearningOptimWrapper'",
    ),
    (
        'train cls.py --cfg-options optim_wrapper.update_by=never',
        "update_by='never': .*'step', 'module'",
    ),
    (
        'train cls.py --cfg-options optim_wrapper.update_by=module '
        'optim_wrapper.clip_grad.max_norm=1',
        "clip_grad .*use update_by='step'",
    ),
    (
        'train cls.py --cfg-options optim_wrapper.optimizer.type=SDG',
        'optim_wrapper.optimizer.type: there is no such',
    ),
    (
        'train cls.py --cfg-options optim_wrapper.optimizer.lr=fast',
        "SGD.*lr='fast'",
    ),
    (
        'train cls.py --cfg-options optim_wrapper.optimizer.momentun=0.9',
        'SGD.*momentun=0.9.*unexpected',
    ),
    (
        'train cls.py --cfg-options activation_checkpointing=[backbone]',
        r"activation_checkpointing=\['backbone'\]: .*remove the key",
    ),
    (
        'train cls.py --cfg-options '
        'default_hooks.feature_bank.type=mmfba.FeatureBank',
        "'mmfba.FeatureBank'.*did you mean.*'mmfba.FeatureBankHook'",
    ),
    (
        'train cls.py --cfg-options train_cfg.max_epochs=0',
        'train_cfg.max_epochs=0: expected an integer above 0',
    ),
    (
        'train cls.py --cfg-options model.head.num_classes=5',
        'head.num_classes=5, .* has 10 classes.*set num_classes=10',
    ),
    (
        'train det.py --cfg-options model.bbox_head.num_classes=4',
        'bbox_head.num_classes=4, .* has 80 classes.*set num_classes=80',
    ),
    (
        'train cls.py --auto-scale-lr',
        '--auto-scale-lr needs .*base_batch_size',
    ),
    # the data
    (
        f'train cls.py {DATASET}data_root=/nowhere '
        'train_dataloader.dataset.download=False',
        "FashionMNIST.*data_root='/nowhere'.*download=True",
    ),
    (f'train cls.py {DATASET}split=tran', "one of .*'train'.*'tran'"),
    (f'train det.py {DATASET}ann_file=none.json', 'No such .*none.json'),
    (f'train det.py {DATASET}data_prefix.img=none', 'No such .*none/0+1.jpg'),
    (f'train det.py {DATASET}ann_file=no_images.json', 'no_images.*no image'),
    (
        f'train det.py {DATASET}ann_file=no_boxes.json',
        'no_boxes.*without a box',
    ),
    (f'train det.py {DATASET}ann_file=nothing.json', 'nothing.*categories'),
    (f'train det.py {DATASET}ann_file=cut_off.json', 'cut_off.json'),
    (f'train det.py {DATASET}data_prefix.img=no_image', 'no_image/0+.*failed'),
    (f'train det.py {DATASET}data_prefix.img=no_bytes', 'no_bytes/0+.*empty'),
    # checkpoints
    ('train cls.py --resume none.pth', 'none.pth: there is no such'),
    ('train cls.py --resume cut_off.pth', 'cut_off.pth .*cut off.*another'),
    ('train cls.py --resume weights.pth', 'weights.pth.*use .*load_from='),
    ('train cls.py --resume detector.pth', 'detector.pth is not of.*another'),
    (
        'train cls.py --cfg-options load_from=empty.pth',
        'empty.pth cannot be read.*another',
    ),
    ('test cls.py none.pth', 'none.pth: there is no such'),
    ('test cls.py text.pth', 'text.pth cannot be read.*another'),
    ('test cls.py list.pth', 'list.pth holds a list.*expected a dict'),
    ('test cls.py detector.pth', 'detector.pth is not of.*another'),
    ('test cls.py objects.pth', 'HistoryBuffer.*--trust-checkpoint'),
    ('test cls.py weights.pth --tta', '--tta needs .*tta_model'),
    ('test cls.py weights.pth --show', '--show.*default_hooks.visualization'),
]


@pytest.mark.parametrize('line, words', COMMANDS)
def test_wrong_command_lines(line, words, tool, tmp_path):
    with pytest.raises(SystemExit) as caught:
        tool(line)
    assert re.match(f'error: .*({words})', caught.value.code, re.S)
    assert len(caught.value.code) < 1000
    assert not list(tmp_path.glob('work/*.pth'))


@pytest.mark.parametrize('image', ['tiny', 'gray'])
def test_odd_images_train(image, tool):
    """An image of one pixel, and one without colours, are no error."""
    work = tool(f'train det.py {DATASET}data_prefix.img={image}')
    state = torch.load(work / 'epoch_1.pth', weights_only=True)['state_dict']
    assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize(
    'line, words',
    [
        ('train', 'required: config'),
        ('train cls.py --foo', '--foo'),
        ('train cls.py --launcher qsub', "'qsub'.*'none'"),
        ('train cls.py --cfg-options foo', 'foo: expected key=value'),
        ('test cls.py', 'required: checkpoint'),
        ('test cls.py weights.pth --out x.json', '--out must end in .pkl'),
    ],
)
def test_wrong_arguments(line, words, tool, capsys):
    with pytest.raises(SystemExit) as caught:
        tool(line)
    assert caught.value.code == 2
    assert re.search(words, capsys.readouterr().err.splitlines()[-1])


def test_exit_status_and_no_traceback(tmp_path):
    done = _run_as_users(tmp_path, 'train.py')
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.match('error: none.py: .*No such file', line)


WITHOUT_MMDET = """
import runpy, sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'mmdet':
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Missing())
runpy.run_path(sys.argv.pop(1), run_name='__main__')
"""


@pytest.mark.slow
def test_without_mmdet(folder):
    done = _run_as_users(
        folder, 'train.py', 'det.py', before=['-c', WITHOUT_MMDET]
    )
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert re.match('error: .*mmdet.*not installed.*pip install mmdet', last)


def _run_as_users(folder, tool, config='none.py', before=()):
    return subprocess.run(
        [
            sys.executable,
            *('-W', 'ignore', *before),
            *(str(ROOT / 'tools' / tool), config),
        ],
        cwd=folder,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )


def test_errors_of_other_kinds_keep_their_traceback(monkeypatch):
    for error in (AttributeError, NotImplementedError, ZeroDivisionError):
        with pytest.raises(error), one_line_errors():
            raise error
    monkeypatch.setenv(TRACEBACK, '1')
    with pytest.raises(ValueError), one_line_errors():
        raise ValueError


def test_worker_of_the_data_loader():
    try:
        raise OSError(
            'Caught OSError in DataLoader worker process 0.\n'
            'Original Traceback (most recent call last):\n  File "x"\n'
            'OSError: no file a.jpg\n'
        )
    except OSError as error:
        assert explain(error).startswith('OSError: no file a.jpg')
