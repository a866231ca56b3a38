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
from mmfba.engine.plain_config import plain_config
from mmfba.models.build_model import build_model

cfg = Config.fromfile(sys.argv[1])
imported = []
for part in (plain_config(cfg), cfg):
    build_model(part)
    libraries = {'mmpretrain', 'mmdet', 'mmagic'} & set(sys.modules)
    imported.append(sorted(libraries))
print(json.dumps(imported))
"""
CONFIGS = dict(
    mmdet='fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes',
    mmpretrain='fba-k4_resnet50_8xb32_in1k',
    mmagic='fba-k4_edsr_x2c64b16_1xb16-300k_div2k',
)


@pytest.mark.parametrize('library', CONFIGS)
def test_a_local_model_imports_what_the_plain_one_does(library):
    """mmdet and mmpretrain import each other where both are installed."""
    config = f'configs/fba/{CONFIGS[library]}.py'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', SCRIPT, config],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    plain, local = json.loads(done.stdout.splitlines()[-1])
    assert library in plain and local == plain
    assert library == 'mmagic' or 'mmagic' not in local


def test_classes_can_be_imported_for_configs_of_classes():
    from mmfba.models import LocalSingleStageDetector

    found = MODELS.get('mmfba.LocalSingleStageDetector')
    assert found is LocalSingleStageDetector
    with pytest.raises(AttributeError, match='LocalDetector'):
        mmfba.models.LocalDetector  # noqa: B018
