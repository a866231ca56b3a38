# Copyright (c) mmfba authors.
"""Published models go through ``torch.onnx`` as stock ones do."""

import inspect

import onnxruntime
import pytest
import torch
from local_models import build, config
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from mmfba.engine.publish import publish
from mmfba.models.build_model import build_model

# The other exporter needs onnxscript; older torch has this one only.
SCRIPT = (
    dict(dynamo=False)
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters
    else {}
)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('task', ['classification', 'super-resolution'])
def test_published_model_in_onnxruntime(task, tmp_path):
    local = build(task, num_modules=3)
    torch.save(dict(state_dict=local.state_dict()), tmp_path / 'last.pth')
    weights, new_config = publish(
        config(task, num_modules=3),
        str(tmp_path / 'last.pth'),
        str(tmp_path / 'net.pth'),
    )
    stock = build_model(Config.fromfile(str(new_config))).eval()
    load_checkpoint(stock, str(weights), strict=True)
    torch.onnx.export(
        stock,
        (torch.randn(2, 3, 32, 32),),
        str(tmp_path / 'net.onnx'),
        input_names=['image'],
        dynamic_axes=dict(image={0: 'batch'}),
        **SCRIPT,
    )
    session = onnxruntime.InferenceSession(str(tmp_path / 'net.onnx'))
    image = torch.randn(3, 3, 32, 32)  # another batch than the exporter saw
    (found,) = session.run(None, dict(image=image.numpy()))
    with torch.no_grad():
        expected = local.eval()(image, mode='tensor')
    torch.testing.assert_close(torch.from_numpy(found), expected)
