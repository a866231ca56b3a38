# Copyright (c) mmfba authors.
from torch import Tensor, nn

from mmfba.local import Unit

from .builder import register_chain
from .sr_chain import SRChain, residual_stage


@register_chain('mmagic.EDSRNet')
def edsr_chain(net: nn.Module) -> SRChain:
    """Chain of EDSR.

    Units: the first conv (``stem``, no module of its own: it is trained with
    the first block) and the residual blocks ``body.<i>``. The tail is the
    conv after the body, the long skip from the stem, and the upsampler.

    Args:
        net (nn.Module): mmagic's ``EDSRNet``.

    Returns:
        SRChain: Its units; the outputs are the last block and the stem.
    """

    def stem(x: Tensor) -> Tensor:
        return net.conv_first((x - net.mean.to(x)) / net.std.to(x))

    def restore(residual: Tensor, image: Tensor) -> Tensor:
        return residual * net.std.to(residual) + net.mean.to(residual)

    def finish(features: dict) -> Tensor:
        res = net.conv_after_body(features[last]) + features['stem']
        return restore(_tail(net, res), None)

    def make_stage(
        in_channels: int, out_channels: int, stride: int, num_blocks: int
    ) -> nn.Module:
        block = net.body[0]
        return residual_stage(
            in_channels,
            out_channels,
            lambda width: type(block)(width, block.res_scale),
            num_blocks,
        )

    units = [Unit('stem', 0, stem, (net.conv_first,), cuttable=False)]
    units += [
        Unit(f'body.{i}', 1, block, (block,))
        for i, block in enumerate(net.body)
    ]
    last = units[-1].name
    return SRChain(
        tuple(units),
        (last, 'stem'),
        finish,
        make_stage,
        scale=net.upscale_factor,
        out_channels=net.out_channels,
        tail_names=('upsample', 'conv_last'),
        tail=_tail,
        restore=restore,
    )


def _tail(net: nn.Module, feature: Tensor) -> Tensor:
    return net.conv_last(net.upsample(feature))
