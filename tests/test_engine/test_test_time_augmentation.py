# Copyright (c) mmfba authors.
import importlib.util
import pickle
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope
from mmengine.runner import Runner
from run_tool import load_tool
from tiny_configs import CLASSIFICATION, DETECTION, localised
from tiny_data import write_cifar10, write_coco

from mmfba.engine.test_time_augmentation import use_tta
from mmfba.models.build_model import build_model

PARTS = dict(
    mmdet=(DETECTION, 'detection', write_coco, 'coco'),
    mmpretrain=(CLASSIFICATION, 'classification', write_cifar10, 'cifar10'),
)


class Merged(BaseException):
    """Upstream's tool has its config."""


def _upstream(library, monkeypatch, *argv):
    """What the library's own tools/test.py makes of a config."""
    path = Path(find_spec(library).origin).parent / '.mim/tools/test.py'
    spec = importlib.util.spec_from_file_location('upstream_test', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def stop(cfg):
        raise Merged(cfg)

    monkeypatch.setattr('sys.argv', ['test.py', *argv])
    with monkeypatch.context() as patch, pytest.raises(Merged) as caught:
        patch.setattr(Runner, 'from_cfg', stop)
        tool.main()
    return caught.value.args[0]


def _ours(*argv):
    tool = load_tool('test')
    args = tool.parse_args(list(argv))
    cfg = Config.fromfile(args.config)
    tool.merge_args(cfg, args)
    return cfg


def _without_scope(part):
    text = Config(dict(part=part)).pretty_text
    return re.sub(r"type='(mmdet|mmpretrain)\.", "type='", text)


@pytest.fixture(params=PARTS)
def library(request, tmp_path, monkeypatch):
    base, task, write, folder = PARTS[request.param]
    (tmp_path / 'base.py').write_text(base)
    (tmp_path / 'local.py').write_text(localised(task, 'base.py'))
    write(tmp_path / 'data' / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    return request.param


def test_tta_and_wait_time_are_those_of_the_librarys_own_tool(
    library, monkeypatch
):
    argv = ['base.py', 'w.pth', '--tta', '--show', '--wait-time', '0.5']
    ours, theirs = _ours(*argv), _upstream(library, monkeypatch, *argv)
    for keys in (('model',), ('test_dataloader', 'dataset', 'pipeline')):
        found, expected = ours, theirs
        for key in keys:
            found, expected = found[key], expected[key]
        assert _without_scope(found) == _without_scope(expected)
    hooks = [dict(cfg.default_hooks.visualization) for cfg in (theirs, ours)]
    assert hooks[0]['wait_time'] == 0.5
    assert hooks[0].items() <= hooks[1].items()

    # The same where no scope is set, as in configs of classes.
    kinds = []
    for cfg, scope in ((theirs, library), (ours, None)):
        with DefaultScope.overwrite_default_scope(scope):
            augment = cfg.test_dataloader.dataset.pipeline[-1]
            flip = TRANSFORMS.build(augment.transforms[0][0])
            found = [TRANSFORMS.get(augment.type), type(flip)]
            kinds.append([*found, MODELS.get(cfg.model.type)])
    assert kinds[0] == kinds[1]


def test_a_local_model_is_tested_with_its_mirror_image(library):
    cfg = Config.fromfile('local.py')
    torch.save(dict(state_dict=build_model(cfg).state_dict()), 'w.pth')
    argv = ['local.py', 'w.pth', '--out', 'out.pkl']
    found = []
    for tta in ([], ['--tta']):
        load_tool('test').main([*argv, *tta])
        found.append(pickle.loads(Path('out.pkl').read_bytes()))
    for plain, both in zip(*found, strict=True):
        assert not any(key.startswith('gt_instances') for key in both)
        name = 'pred_instances' if library == 'mmdet' else 'pred_score'
        assert not _equal(plain[name], both[name])


def _equal(one, other):
    if isinstance(one, dict):
        one, other = one['scores'], other['scores']
    return one.shape == other.shape and one.allclose(other)


def test_a_pipeline_inside_wrapped_data_sets():
    inner = dict(type='CocoDataset', pipeline=['load', 'pack'])
    cfg = Config(
        dict(
            model=dict(type='mmdet.RetinaNet'),
            tta_model=dict(type='Mine'),
            tta_pipeline=['load', 'augment'],
            test_dataloader=dict(
                dataset=dict(type='RepeatDataset', times=1, dataset=inner)
            ),
        )
    )
    use_tta(cfg)
    assert cfg.model.type == 'Mine' and cfg.model.module.type == (
        'mmdet.RetinaNet'
    )
    dataset = cfg.test_dataloader.dataset
    assert 'pipeline' not in dataset
    assert dataset.dataset.pipeline == ['load', 'augment']


@pytest.mark.parametrize('model', ['mmagic.BaseEditModel', 'BaseModel'])
def test_no_defaults_for_other_libraries(model):
    cfg = Config(dict(model=dict(type=model), tta_model=dict(type='Mine')))
    with pytest.raises(ValueError, match=r"--tta needs \['tta_pipeline'\]"):
        use_tta(cfg)
