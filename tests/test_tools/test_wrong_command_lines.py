# Copyright (c) mmfba authors.
"""Wrong command lines, configs and files, each with one line that helps.

A case is a command line and what the message has to name: the key or file,
the value, and the remedy.
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
from local_models import build
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from run_tool import ROOT, load_tool


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two configs with their data, and files that are no such."""
    root = tmp_path_factory.mktemp('bad_input')
    for name, make in (('cls', classifier_config), ('det', detector_config)):
        (root / name).mkdir()
        make(root / name).dump(str(root / f'{name}.py'))
    _write_nested_model(root)
    _write_checkpoints(root)
    _write_annotations(root / 'det/data')
    texts = dict(
        unclosed='model = dict(', empty='', raises='raise ValueError("no")'
    )
    texts['no_base'] = "_base_ = 'mmdet::retinanet/retinanet_r5.py'"
    for name, text in texts.items():
        (root / f'{name}.py').write_text(text)
    return root


def _write_nested_model(root):
    """A local model of which its parent runs the network alone."""
    cfg = Config.fromfile(root / 'cls.py')
    cfg.optim_wrapper.type = 'OptimWrapper'
    cfg.default_hooks = {}
    cfg.model = dict(
        type='ImageToImageRetriever',
        image_encoder=cfg.model,
        prototype=str(root / 'weights.pth'),
    )
    cfg.dump(str(root / 'nested.py'))


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
    ('train unclosed.py', 'unclosed.py: .*SyntaxError: '),
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
        'train nested.py',
        "Retriever holds a LocalImageClassifier as '.*plain model's",
    ),
    (
        'train cls.py --cfg-options optim_wrapper.type=mmfba.Local',
        "type='mmfba.Local'.*there is no such",
    ),
    (
        'train cls.py --cfg-options '
        'optim_wrapper.type=mmfba.LocalLearningOptimWraper',
        "'mmfba.LocalLearningOptimWraper'.*'mmfba.LocalLearningOptimWrapper'",
    ),
    (
        'train det.py --cfg-options model.type=mmfba.LocalSingleDetector',
        "'mmfba.LocalSingleDetector'.*'mmfba.LocalSingleStageDetector'",
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
        'train det.py --cfg-options '
        'train_dataloader.dataset.metainfo.classes=cat '
        'train_dataloader.dataset.filter_cfg.filter_empty_gt=False',
        r"classes='cat' is a string.* 3 classes.*classes=\('cat',\)",
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
    (
        f'train det.py {DATASET}ann_file=no_images.json',
        'no_images.*no image.*metainfo.classes',
    ),
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
    (
        'test cls.py weights.pth --tta --cfg-options model.type=BaseModel',
        '--tta needs .*tta_model',
    ),
    ('test cls.py weights.pth --show', '--show.*default_hooks.visualization'),
]


@pytest.mark.parametrize('line, words', COMMANDS)
def test_wrong_command_lines(line, words, tool, tmp_path):
    with pytest.raises(SystemExit) as caught:
        tool(line)
    assert re.match(f'error: .*({words})', caught.value.code, re.S)
    assert len(caught.value.code) < 1000
    assert not list(tmp_path.glob('work/*.pth'))


def test_images_without_colours_train(tool):
    work = tool(f'train det.py {DATASET}data_prefix.img=gray')
    state = torch.load(work / 'epoch_1.pth', weights_only=True)['state_dict']
    assert all(value.isfinite().all() for value in state.values())


def test_images_smaller_than_their_boxes(tool, tmp_path):
    """Of one pixel: clipped boxes without an area make the loss infinite."""
    with pytest.raises(SystemExit, match='error: Iteration 1: .*module 0 of'):
        tool(f'train det.py {DATASET}data_prefix.img=tiny')
    assert not list(tmp_path.glob('work/*.pth'))


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
