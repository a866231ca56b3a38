# Copyright (c) mmfba authors.
"""tools/train.py and tools/test.py on stock configs and tiny data."""

import json
import logging
import pickle
from types import SimpleNamespace

import mmengine.dist
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from run_tool import load_tool, run_tool
from tiny_configs import CLASSIFICATION, DETECTION, EDITING
from tiny_data import write_cifar10, write_coco, write_div2k

from mmfba.engine.optim_wrappers import LocalLearningOptimWrapper


def _metrics(work_dir):
    """The last record of the latest run's log in ``work_dir``."""
    log = max(work_dir.glob('*/*.json'))
    return json.loads(log.read_text().splitlines()[-1])


def test_detection(tmp_path):
    write_coco(tmp_path / 'data/coco')
    (tmp_path / 'det.py').write_text(DETECTION)
    run_tool(tmp_path, 'train.py det.py')
    out = run_tool(
        tmp_path,
        'train.py det.py --resume --cfg-options train_cfg.max_epochs=2',
    )
    assert 'resumed epoch: 1, iter: 2' in out
    assert 'is different from the current training dataset' not in out

    last = 'work_dirs/det/epoch_2.pth'
    hub = torch.load(tmp_path / last, weights_only=True)['message_hub']
    assert len(hub['log_scalars']['train/loss']['log_history']) == 4
    run_tool(
        tmp_path,
        f'test.py det.py {last} --out out.pkl --show-dir pictures '
        '--work-dir tested',
    )
    predictions = pickle.loads((tmp_path / 'out.pkl').read_bytes())
    assert len(predictions) == 2 and 'pred_instances' in predictions[0]
    assert not {'gt_instances', 'ignored_instances'} & predictions[0].keys()
    assert len(list((tmp_path / 'pictures').glob('*.jpg'))) == 2
    assert 'coco/bbox_mAP' in _metrics(tmp_path / 'tested')


@pytest.mark.slow
def test_classification(tmp_path):
    write_cifar10(tmp_path / 'data/cifar10')
    (tmp_path / 'cls.py').write_text(CLASSIFICATION)
    run_tool(tmp_path, 'train.py cls.py --work-dir trained')
    (best,) = (tmp_path / 'trained').glob('best_accuracy*.pth')
    run_tool(
        tmp_path, f'test.py cls.py {best} --out out.pkl --show-dir pictures'
    )
    assert len(pickle.loads((tmp_path / 'out.pkl').read_bytes())) == 4
    assert len(list((tmp_path / 'pictures').glob('*.png'))) == 4
    assert 'accuracy/top1' in _metrics(tmp_path / 'work_dirs/cls')


@pytest.mark.slow
def test_editing(tmp_path):
    write_div2k(tmp_path / 'data')
    (tmp_path / 'edit.py').write_text(EDITING)
    run_tool(tmp_path, 'train.py edit.py --work-dir w')
    # From before the end, so that there is an iteration to resume for.
    (tmp_path / 'w/last_checkpoint').write_text('w/iter_1.pth')
    out = run_tool(
        tmp_path, 'train.py edit.py --work-dir w --resume --no-validate'
    )
    assert 'resumed epoch: 0, iter: 1' in out
    run_tool(
        tmp_path,
        'test.py edit.py w/iter_2.pth --work-dir tested --out metrics.pkl',
    )
    sets = {'Set5/PSNR', 'Set14/PSNR', 'DIV2K/PSNR'}
    logged = _metrics(tmp_path / 'tested')
    written = pickle.loads((tmp_path / 'metrics.pkl').read_bytes())
    assert sets <= written.keys() and written.items() <= logged.items()


def test_a_stock_config_is_localised(tmp_path):
    write_coco(tmp_path / 'data/coco')
    (tmp_path / 'det.py').write_text(DETECTION)
    out = run_tool(tmp_path, 'train.py det.py --localise 3')
    assert 'LocalLearningOptimWrapper' in out and 'aux1/cls' in out
    weights = torch.load(
        tmp_path / 'work_dirs/det/epoch_1.pth', weights_only=True
    )
    cuts = weights['local_learning']['cuts']
    assert len(cuts) == 2
    assert any(k.startswith('local_aux.1.') for k in weights['state_dict'])


@pytest.fixture(autouse=True)
def _local_rank(monkeypatch):
    # The tools set it where it is missing.
    monkeypatch.setenv('LOCAL_RANK', '0')


def _merged(tool, cfg, *argv):
    module, cfg = load_tool(tool), Config(cfg)
    positional = ['c/x.py'] + ['y.pth'] * (tool == 'test')
    module.merge_args(cfg, module.parse_args([*positional, *argv]))
    return cfg


def test_train_defaults():
    cfg = _merged('train', dict())
    assert cfg.work_dir == './work_dirs/x' and cfg.launcher == 'none'
    hook = cfg.default_hooks.plain_checkpoint
    assert hook.type == 'mmfba.PlainCheckpointHook'
    assert 'resume' not in cfg

    hook = cfg.default_hooks.checkpoint
    assert hook == dict(type='mmfba.AtomicCheckpointHook', interval=1)

    ours = dict(type='mmfba.AtomicCheckpointHook', max_keep_ckpts=2)
    for kind in ('CheckpointHook', 'mmengine.CheckpointHook', CheckpointHook):
        stock = dict(checkpoint=dict(type=kind, max_keep_ckpts=2))
        cfg = _merged('train', dict(default_hooks=stock))
        assert cfg.default_hooks.checkpoint == ours

    mine = dict(plain_checkpoint=dict(type='Mine'))
    for hook in (None, dict(type='Mine'), dict(type='my.CheckpointHook')):
        mine = dict(mine, checkpoint=hook)
        cfg = _merged('train', dict(default_hooks=mine, work_dir='w'))
        assert cfg.default_hooks == mine and cfg.work_dir == 'w'


def test_train_resume():
    cfg = _merged('train', dict(load_from='a.pth'), '--resume')
    assert cfg.resume == 'auto' and cfg.load_from == 'a.pth'
    cfg = _merged('train', dict(), '--resume', 'b.pth')
    assert cfg.resume and cfg.load_from == 'b.pth'


def test_train_resumes_from_the_last_whole_checkpoint(tmp_path):
    train = load_tool('train')
    whole = dict(meta={}, state_dict={}, message_hub={}, optimizer={})
    torch.save(whole, tmp_path / 'epoch_1.pth')
    (tmp_path / 'epoch_2.pth').write_bytes(b'cut off')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    cfg = Config(dict(resume=True, work_dir=str(tmp_path)))
    note = train.choose_checkpoint(cfg, trust=False)
    assert cfg.load_from == str(tmp_path / 'epoch_1.pth')
    assert 'epoch_1.pth' in note and 'epoch_2.pth' in note

    cfg = Config(dict(resume=True, work_dir=str(tmp_path / 'new')))
    assert 'training starts' in train.choose_checkpoint(cfg, trust=False)
    assert not cfg.resume and cfg.load_from is None
    # What the config starts from is not forgotten, but for a checkpoint.
    start = str(tmp_path / 'epoch_1.pth')
    cfg.merge_from_dict(dict(resume='auto', load_from=start))
    assert 'training starts' in train.choose_checkpoint(cfg, trust=False)
    assert cfg.load_from == start and cfg.resume is False
    cfg.merge_from_dict(dict(resume='auto', work_dir=str(tmp_path)))
    train.choose_checkpoint(cfg, trust=False)
    assert cfg.load_from == start and cfg.resume is True
    assert train.choose_checkpoint(Config(dict()), trust=False) is None


OURS = 'mmfba.LocalLearningOptimWrapper'
OUR_AMP = 'mmfba.AmpLocalLearningOptimWrapper'


@pytest.mark.parametrize(
    'before, after',
    [
        (dict(), 'AmpOptimWrapper'),
        (dict(type='OptimWrapper'), 'AmpOptimWrapper'),
        (dict(type=OptimWrapper), 'AmpOptimWrapper'),
        (dict(type='mmengine.optim.OptimWrapper'), 'AmpOptimWrapper'),
        (dict(type=AmpOptimWrapper), 'AmpOptimWrapper'),
        (dict(type=LocalLearningOptimWrapper), OUR_AMP),
        (dict(type='AmpOptimWrapper'), 'AmpOptimWrapper'),
        (dict(type=OURS), OUR_AMP),
        (dict(type=OUR_AMP), OUR_AMP),
    ],
)
def test_train_amp(before, after):
    cfg = dict(optim_wrapper=dict(before, optimizer=dict(type='SGD')))
    wrapper = _merged('train', cfg, '--amp').optim_wrapper
    assert (wrapper.type, wrapper.loss_scale) == (after, 'dynamic')

    cfg['optim_wrapper']['loss_scale'] = 512.0
    assert _merged('train', cfg, '--amp').optim_wrapper.loss_scale == 512.0


@pytest.mark.parametrize(
    'wrapper, name',
    [
        (dict(type='ApexOptimWrapper', optimizer=dict()), 'ApexOptimWrapper'),
        (dict(constructor='Multi', a=dict(type='OptimWrapper')), 'None'),
    ],
)
def test_train_amp_refuses_other_wrappers(wrapper, name):
    with pytest.raises(ValueError, match=name):
        _merged('train', dict(optim_wrapper=wrapper), '--amp')


def test_train_auto_scale_lr():
    cfg = dict(auto_scale_lr=dict(base_batch_size=16))
    assert _merged('train', cfg, '--auto-scale-lr').auto_scale_lr.enable
    with pytest.raises(ValueError, match='base_batch_size'):
        _merged('train', dict(), '--auto-scale-lr')


def test_test_errors(capsys):
    with pytest.raises(ValueError, match='BasicVisualizationHook'):
        _merged('test', dict(), '--show')
    with pytest.raises(ValueError, match='tta_pipeline'):
        _merged('test', dict(tta_model=dict()), '--tta')
    with pytest.raises(SystemExit):
        _merged('test', dict(), '--out', 'x.json')
    assert '.pkl' in capsys.readouterr().err
    _merged('test', dict(), '--out', 'x.json', '--out-item', 'metrics')
    with pytest.raises(SystemExit):
        _merged('test', dict(), '--out-item', 'metrics')
    assert '--out-item needs --out' in capsys.readouterr().err


def test_help_says_what_trust_means(capsys):
    for name in ('train', 'test'):
        with pytest.raises(SystemExit):
            load_tool(name).parse_args(['--help'])
        text = ' '.join(capsys.readouterr().out.split())
        assert 'can run any code' in text


@pytest.mark.parametrize('main', [True, False])
def test_the_main_process_alone_writes_the_figures(
    main, tmp_path, monkeypatch
):
    tool = load_tool('test')
    monkeypatch.setattr(mmengine.dist, 'is_main_process', lambda: main)
    hook = LoggerHook()
    hook.json_log_path = 'figures.json'
    processor = SimpleNamespace(
        get_log_after_epoch=lambda *_, **__: ({'mAP': 0.5}, 'mAP: 0.5')
    )
    runner = SimpleNamespace(
        hooks=[hook],
        log_processor=processor,
        log_dir=tmp_path,
        logger=logging.getLogger('figures'),
        test_dataloader=[],
    )
    tool.write_figures_once(runner)
    hook.after_test_epoch(runner, metrics={'mAP': 0.5})
    assert (tmp_path / 'figures.json').exists() == main
