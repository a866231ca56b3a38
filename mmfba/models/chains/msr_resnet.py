# Copyright (c) mmfba authors.
from torch import Tensor, nn

from mmfba.local import INPUT, Chain, Unit

from ..blocks import image_tail, stage_maker
from .builder import register_chain


@register_chain('mmagic.MSRResNet')
def msr_resnet_chain(net: nn.Module) -> Chain:
    """Chain of MSRResNet.

    Units: the first conv (``stem``, no module of its own: it is trained with
    the first block) and the residual blocks ``trunk_net.<i>``. The tail is
    the upsampler; its output is added to the input image upsampled
    bilinearly.

    Args:
        net (nn.Module): mmagic's ``MSRResNet``.

    Returns:
        Chain: Its units; the outputs are the last block and the input.
    """

    def stem(x: Tensor) -> Tensor:
        return net.lrelu(net.conv_first(x))

    def finish(features: dict) -> Tensor:
        residual = tail.run(net, features[last])
        return tail.restore(net, residual, features[INPUT])

    tail = image_tail(net, net.upscale_factor, net.out_channels)
    units = [Unit('stem', 0, stem, (net.conv_first,), cuttable=False)]
    units += [
        Unit(f'trunk_net.{i}', 1, block, (block,))
        for i, block in enumerate(net.trunk_net)
    ]
    last = units[-1].name
    return Chain(tuple(units), (last, INPUT), finish, stage_maker(net))
