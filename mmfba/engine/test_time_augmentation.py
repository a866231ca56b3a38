# Copyright (c) mmfba authors.
import copy
from typing import Any, Dict, List, Optional

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS

from mmfba.analysis.library_of import library_of

WRAPPERS = dict(
    mmdet=dict(
        type='DetTTAModel',
        tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
    ),
    mmpretrain=dict(type='mmpretrain.AverageClsScoreTTA'),
)
"""What their own tools/test.py takes where the config says nothing."""
FLIPS = dict(mmdet='mmdet.RandomFlip', mmpretrain='RandomFlip')
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
META_KEYS += ('flip', 'flip_direction')


def use_tta(cfg: Config) -> None:
    """Let a config test with test-time augmentation.

    ``tta_model`` and ``tta_pipeline`` that it lacks are those of its
    library's own tool: of each image its mirror image as well.

    Raises:
        ValueError: If it lacks one, and its library has no default.
    """
    missing = [k for k in ('tta_model', 'tta_pipeline') if k not in cfg]
    library = _library_of_model(cfg) if missing else None
    if missing and library not in WRAPPERS:
        raise ValueError(
            f'--tta needs {missing} in the config: there are defaults for '
            f'models of {list(WRAPPERS)} alone'
        )
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    pipeline = cfg.get('tta_pipeline')
    if pipeline is None:
        pipeline = _with_flips(dataset.pipeline, library)
    wrapper = cfg.get('tta_model') or WRAPPERS[library]
    cfg.model = ConfigDict(wrapper, module=cfg.model)
    dataset.pipeline = pipeline


def _library_of_model(cfg: Config) -> Optional[str]:
    kind = cfg.get('model', {}).get('type')
    if isinstance(kind, str):
        scope = cfg.get('default_scope')
        with MODELS.switch_scope_and_registry(scope) as registry:
            kind = registry.get(kind)
    return library_of(kind) if isinstance(kind, type) else None


def _with_flips(
    pipeline: List[Dict[str, Any]], library: str
) -> List[Dict[str, Any]]:
    *steps, pack = copy.deepcopy(pipeline)
    if library == 'mmdet':
        pack = dict(type='mmdet.PackDetInputs', meta_keys=META_KEYS)
    flips = [dict(type=FLIPS[library], prob=p) for p in (1.0, 0.0)]
    augment = dict(type='TestTimeAug', transforms=[flips, [pack]])
    return [*steps, augment]
