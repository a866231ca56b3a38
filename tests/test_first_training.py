# Copyright (c) mmfba authors.
"""From a stock config to local learning, by one command of README.md, in a
fresh clone, on tiny data where the config looks for its own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.hub import get_config
from python_configs import python_style
from run_tool import ROOT, run_tool
from tiny_data import write_coco, write_div2k, write_imagenet

EPOCH = 'train_cfg.max_epochs=1 default_hooks.logger.interval=1'
STEPS = 'train_cfg.max_iters=2 default_hooks.logger.interval=1'
RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
CONFIGS = {
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': EPOCH,
    RETINANET: EPOCH,
    'stock.py': EPOCH,  # RetinaNet's in pure Python
    'mmpretrain::resnet/resnet50_8xb32_in1k.py': EPOCH,
    'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py': STEPS,
}


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    """A fresh clone with data, and with weights for what is pretrained."""
    from torchvision.models import ResNet50_Weights, resnet50

    if not (ROOT / '.git').exists() or shutil.which('git') is None:
        pytest.skip('no repository to clone')
    root = tmp_path_factory.mktemp('first') / 'mmfba'
    subprocess.run(['git', 'clone', '-q', str(ROOT), str(root)], check=True)
    write_coco(root / 'data/coco', num_train=2, num_val=1)
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
    out = run_tool(
        clone,
        f'train.py {config} --localise 4 --cfg-options {CONFIGS[config]}',
        clone,
        TORCH_HOME=str(clone),
    )
    losses = re.findall(r'aux2/\w+: ([\d.]+)', out)
    assert losses and all(0 < float(loss) < 1e3 for loss in losses)
    weights = torch.load(next((clone / 'work_dirs').rglob('*_*.pth')))
    assert any(key.startswith('local_aux.2.') for key in weights['state_dict'])
    shutil.rmtree(clone / 'work_dirs')
