# Copyright (c) mmfba authors.
from typing import Any, Dict, List, Optional, Tuple, Union

from torch import Tensor, nn

from mmfba.local import INPUT, FeatureBank
from mmfba.registry import MODELS

from ..choices import check_choice
from .auxiliary_network import AuxiliaryNetwork
from .heads.classifier import (
    build_classifier,
    check_classification,
    check_one_task,
    class_labels,
    classifier_losses,
)
from .image_decoder import ImageDecoder
from .initialization import init_cfg_like
from .supervised_contrast import supervised_contrast
from .unit_spec import UnitSpec

Weight = Union[float, Tuple[float, float]]

ARCHITECTURES = ('1c2f', '2c2f', 'imagenet')
LOSSES = ('ce', 'contrast')
FEATURE_DIM = 128
PRESETS: Dict[int, Dict[str, Weight]] = {
    2: dict(recon=5, task=1),
    4: dict(recon=(6, 1), task=(0, 2)),
    8: dict(recon=(5, 0), task=(0, 2)),
    16: dict(recon=(5, 0.2), task=(0.05, 0.5)),
}
"""Published weights for ResNet-32 on CIFAR-10, by K."""


@MODELS.register_module()
class InfoProAuxiliary(AuxiliaryNetwork):
    r"""Information propagation: reconstruct the image, and classify.

    .. math::
        L_k = \lambda_1(k)\,\mathrm{BCE}\big(\sigma(D(x)),\; I\big)
        + \lambda_2(k)\,L_{task}(A(x), y), \qquad
        \lambda(k) = \lambda_{first}\,(1 - r) + \lambda_{last}\,r,
        \quad r = \frac{k}{K-2}

    `Revisiting Locally Supervised Learning: an Alternative to End-to-end
    Training <https://arxiv.org/abs/2101.10832>`_, for module k of 0 to K-2.
    D is a decoder, I the input image in [0, 1], A a small network, and
    :math:`L_{task}` the cross entropy (``loss='ce'``, the main head's own
    loss) or supervised contrast of 128 values (``'contrast'``).

    Architectures: ``1c2f`` is one 3x3 conv, which doubles the channels at
    stride 2 unless they are the last stage's, and two linear layers; ``2c2f``
    has one conv more; D is two convs at the image's size. ``imagenet``: four
    convs and one linear layer; D has four convs at growing size.

    Args:
        spec (UnitSpec): The cut.
        arch (str): One of the above. Defaults to ``'1c2f'``.
        loss (str): ``'ce'`` or ``'contrast'``. Defaults to ``'ce'``.
        recon_weight (float | tuple[float, float], optional):
            :math:`\lambda_1`, or its first and last value. Defaults to None,
            the published one for ResNet-32 on CIFAR-10 with this K.
        task_weight (float | tuple[float, float], optional): The same for
            :math:`\lambda_2`.

    Note:
        Contrast compares the images of one process: with several, the loss is
        not that of one process with the whole batch.
    """

    reads = (INPUT,)

    def __init__(
        self,
        spec: UnitSpec,
        arch: str = '1c2f',
        loss: str = 'ce',
        recon_weight: Optional[Weight] = None,
        task_weight: Optional[Weight] = None,
    ) -> None:
        super().__init__(init_cfg_like(spec.main.backbone))
        check_classification(spec)
        check_choice('auxiliary.arch', arch, ARCHITECTURES)
        check_choice('auxiliary.loss', loss, LOSSES)
        self.recon_weight = _weight('recon', recon_weight, spec)
        self.task_weight = _weight('task', task_weight, spec)
        if self.recon_weight == self.task_weight == 0:
            raise ValueError(
                'auxiliary.recon_weight and task_weight are both 0 at module '
                f'{spec.index}, which would not be trained'
            )
        self.contrast = loss == 'contrast'
        if self.contrast:
            _check_labels(spec)
        if arch == 'imagenet':
            decoder = [(128, 1), (32, 3), (12, 3)], (0, 4, 2, 1)
            layers, width = _imagenet_layers(spec.cut.channels)
        else:
            decoder = [(12, 3)], (1, 0)
            layers, width = _cifar_layers(spec, num_convs=int(arch[0]))
        self.decoder = ImageDecoder(spec, *decoder)
        self.network = nn.Sequential(*layers)
        self.head = (
            nn.Linear(width, FEATURE_DIM)
            if self.contrast
            else build_classifier(spec, width)
        )

    def loss(
        self, x: Tensor, bank: FeatureBank, data_samples: Any
    ) -> Dict[str, Any]:
        recon = self.decoder.loss(x, bank.get(INPUT))
        vectors = self.network(x)
        if self.contrast:
            labels = class_labels(data_samples)
            task = supervised_contrast(self.head(vectors), labels)
            losses = dict(loss_contrast=self.task_weight * task)
        else:
            losses = classifier_losses(
                self.head, vectors, data_samples, self.task_weight
            )
        return dict(loss_recon=self.recon_weight * recon, **losses)


def _cifar_layers(
    spec: UnitSpec, num_convs: int
) -> Tuple[List[nn.Module], int]:
    """Layers before the last linear one, and what they return."""
    channels = spec.cut.channels
    last = max(f.channels for f in spec.stage_ends.values())
    width, layers = min(2 * channels, last), []
    for i in range(num_convs):
        stride = 2 if i == 0 and width > channels else 1
        layers += _conv(width if i else channels, width, 3, stride)
    layers += [
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, FEATURE_DIM),
        nn.ReLU(inplace=True),
    ]
    return layers, FEATURE_DIM


def _imagenet_layers(channels: int) -> Tuple[List[nn.Module], int]:
    layers = [
        *_conv(channels, 128, 1, 1),
        *_conv(128, 256, 3, 2),
        *_conv(256, 512, 3, 2),
        *_conv(512, 2048, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    return layers, 2048


def _conv(
    in_channels: int, out_channels: int, kernel: int, stride: int
) -> List[nn.Module]:
    return [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=kernel // 2,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def _weight(term: str, value: Optional[Weight], spec: UnitSpec) -> float:
    """Weight of a term at this cut."""
    num_modules = spec.num_modules
    if value is None:
        if num_modules not in PRESETS:
            raise ValueError(
                f'auxiliary.{term}_weight=None: no weights are published for '
                f'K={num_modules}, only for K in {list(PRESETS)}: set a '
                'number, or the first and the last'
            )
        value = PRESETS[num_modules][term]
    values = value if isinstance(value, (list, tuple)) else (value, value)
    if len(values) != 2 or min(values) < 0:
        raise ValueError(
            f'auxiliary.{term}_weight={value!r}: expected a number of at '
            'least 0, or the first and the last'
        )
    r = spec.index / (num_modules - 2) if num_modules > 2 else 0
    return values[0] * (1 - r) + values[1] * r


def _check_labels(spec: UnitSpec) -> None:
    check_one_task(spec, "auxiliary.loss='contrast'")
    from mmpretrain.models.heads import MultiLabelClsHead

    if isinstance(spec.main.head_module, MultiLabelClsHead):
        raise ValueError(
            "auxiliary.loss='contrast' compares images by one label each, "
            f'and {type(spec.main.head_module).__name__} is for several: use '
            "loss='ce'"
        )
    if getattr(spec.main.data_preprocessor, 'batch_augments', None):
        raise ValueError(
            "auxiliary.loss='contrast' compares images by their labels, "
            'which the batch augmentation of train_cfg.augments mixes: use '
            "loss='ce'"
        )
