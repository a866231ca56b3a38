# Copyright (c) mmfba authors.
from torch import Tensor, nn

from mmfba.local import Chain, Unit

from ..blocks import image_tail, stage_maker
from .builder import register_chain


@register_chain('mmagic.EDSRNet')
def edsr_chain(net: nn.Module) -> Chain:
    """Chain of EDSR.

    Units: the first conv (``stem``, no module of its own: it is trained with
    the first block) and the residual blocks ``body.<i>``. The tail is the
    conv after the body, the long skip from the stem, and the upsampler.

    Args:
        net (nn.Module): mmagic's ``EDSRNet``.

    Returns:
        Chain: Its units; the outputs are the last block and the stem.
    """

    def stem(x: Tensor) -> Tensor:
        return net.conv_first((x - net.mean.to(x)) / net.std.to(x))

    def finish(features: dict) -> Tensor:
        res = net.conv_after_body(features[last]) + features['stem']
        return tail.restore(net, tail.run(net, res), None)

    tail = image_tail(net, net.upscale_factor, net.out_channels)
    units = [Unit('stem', 0, stem, (net.conv_first,), cuttable=False)]
    units += [
        Unit(f'body.{i}', 1, block, (block,))
        for i, block in enumerate(net.body)
    ]
    last = units[-1].name
    return Chain(tuple(units), (last, 'stem'), finish, stage_maker(net))
