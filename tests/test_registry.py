# Copyright (c) mmfba authors.
import json
import subprocess
import sys

import pytest
from run_tool import ROOT

import mmfba.models
from mmfba.registry import MODELS

SCRIPT = """
import json, sys
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

imported = []
for name in sys.argv[1:]:
    cfg = Config.fromfile(name)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        MODELS.build(cfg.model)
    found = {'mmpretrain', 'mmdet', 'mmagic', 'mmfba'} & set(sys.modules)
    imported.append(sorted(found))
print(json.dumps(imported))
"""
CONFIGS = dict(
    mmdet='retinanet/retinanet_r50_fpn_1x_coco',
    mmpretrain='resnet/resnet50_8xb32_in1k',
    mmagic='edsr/edsr_x2c64b16_1xb16-300k_div2k',
)


@pytest.mark.parametrize(
    'library',
    [
        name if name == 'mmdet' else pytest.param(name, marks=pytest.mark.slow)
        for name in CONFIGS
    ],
)
def test_a_local_model_imports_what_the_plain_one_does(library, tmp_path):
    """mmdet and mmpretrain import each other where both are installed."""
    name = CONFIGS[library]
    stock = tmp_path / 'stock.py'
    stock.write_text(f"_base_ = '{library}::{name}.py'")
    ours = f'configs/fba/fba-k4_{name.split("/")[1]}.py'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', SCRIPT, stock, ours],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    plain, local = json.loads(done.stdout.splitlines()[-1])
    assert library in plain and local == sorted([*plain, 'mmfba'])
    assert library == 'mmagic' or 'mmagic' not in local


def test_classes_can_be_imported_for_configs_of_classes():
    from mmfba.models import LocalSingleStageDetector

    found = MODELS.get('mmfba.LocalSingleStageDetector')
    assert found is LocalSingleStageDetector
    with pytest.raises(AttributeError, match='LocalDetector'):
        mmfba.models.LocalDetector  # noqa: B018
