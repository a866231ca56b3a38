# Copyright (c) mmfba authors.
from typing import Any, Dict, List

from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from torch import Tensor, nn

from mmfba.local import POOLED
from mmfba.local.probe import Probe

from ..auxiliary import MainModel
from ..blocks import makes_own_blocks
from ..local_model import LocalModel
from ..neck_probe import probe_neck
from ..options import LocalLearningOptions

AUXILIARY = dict(
    type='mmfba.FBAAuxiliary',
    neck=dict(type='mmfba.SLMNeck', mode='later_stages', fusion='add'),
    head=dict(type='mmfba.TaskHead', mode='copy'),
)
OWN_BLOCKS = dict(channel_ratio=0.5, blocks_per_stage=1)
LIGHT_BLOCKS = dict(channel_ratio=1.0, blocks_per_stage=3)


class LocalClassification(LocalModel):
    """Local learning of a classifier of mmpretrain.

    The SLM has one block a stage, half as wide as the network, where its
    blocks are of the network's own kind, and else three light blocks.
    """

    library = 'mmpretrain'

    def default_auxiliary(self) -> Dict[str, Any]:
        own = makes_own_blocks(self.backbone)
        size = OWN_BLOCKS if own else LIGHT_BLOCKS
        return dict(AUXILIARY, neck=dict(AUXILIARY['neck'], **size))

    def init_local_learning(self, options: LocalLearningOptions) -> None:
        if options.num_modules != 1:
            configs = self.plain_configs
            _check_configs(neck=configs.get('neck'), head=configs.get('head'))
        super().init_local_learning(options)

    def main_model(self, found: Probe) -> MainModel:
        network, configs = self.cut_network(), self.plain_configs
        return MainModel(
            **network,
            outputs_read=network['outputs'],
            registry=MMPRETRAIN_MODELS,
            neck=configs.get('neck'),
            head=configs.get('head') or {},
            head_module=self.head,
            data_preprocessor=self.data_preprocessor,
            head_inputs=probe_neck(self.neck, self.output_shapes()).returns,
        )

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        # As what they are fused with: vectors, or maps where no neck pools.
        taken = main.head_inputs or ((0, 0),)
        vectors = all(len(shape) == 2 for shape in taken)
        return [cut + POOLED if vectors else cut for cut in cuts]

    def loss(self, inputs: Tensor, data_samples: List[Any]) -> Dict[str, Any]:
        """Losses of one step and values of the local losses, see
        :meth:`local_loss`."""
        return self.local_loss(super().loss, inputs, data_samples)


def _check_configs(**parts: Any) -> None:
    for key, part in parts.items():
        if isinstance(part, nn.Module):
            raise ValueError(
                f'model.{key} is a {type(part).__name__} that has been built, '
                'and auxiliary networks are built like it, from its config: '
                'write it as a dict; the backbone alone may be a module'
            )
