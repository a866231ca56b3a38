# Copyright (c) mmfba authors.
"""From a stock config to local learning, by the two commands of README.md, in
a fresh clone, on tiny data where the config looks for its own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from python_configs import python_style
from run_tool import ROOT, run_tool
from tiny_data import write_coco, write_div2k, write_imagenet

EPOCH = 'train_cfg.max_epochs=1 default_hooks.logger.interval=1'
STEPS = 'train_cfg.max_iters=2 default_hooks.logger.interval=1'
RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
CONFIGS = {
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': ('1.7GiB', EPOCH),
    RETINANET: ('1.6GiB', EPOCH),
    'stock.py': ('1.6GiB', EPOCH),
    'mmpretrain::resnet/resnet50_8xb32_in1k.py': ('1GiB', EPOCH),
    'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py': ('100MiB', STEPS),
}


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    """A fresh clone with data, and with weights for what is pretrained."""
    from torchvision.models import ResNet50_Weights, resnet50

    if not (ROOT / '.git').exists() or shutil.which('git') is None:
        pytest.skip('no repository to clone')
    root = tmp_path_factory.mktemp('first') / 'mmfba'
    subprocess.run(['git', 'clone', '-q', str(ROOT), str(root)], check=True)
    write_coco(root / 'data/coco')
    write_imagenet(root / 'data/imagenet')
    write_div2k(root / 'data')
    hub = root / 'hub/checkpoints'
    hub.mkdir(parents=True)
    for weights in ResNet50_Weights:
        path = hub / Path(weights.url).name
        torch.save(resnet50().state_dict(), path)
    stock = get_config(RETINANET)
    (root / 'stock.py').write_text(python_style(stock))
    return root


@pytest.mark.slow
@pytest.mark.parametrize('config', CONFIGS)
def test_a_stock_config_trains_locally(clone, config):
    budget, options = CONFIGS[config]
    found = run_tool(
        clone, f'localise.py {config} --budget {budget} -o my_local.py', clone
    )
    cfg = Config.fromfile(clone / 'my_local.py')
    assert cfg.model.local_learning.num_modules > 1, found
    out = run_tool(
        clone,
        f'train.py my_local.py --cfg-options {options}',
        clone,
        TORCH_HOME=str(clone / 'hub'),
    )
    assert re.search('local module', out)
