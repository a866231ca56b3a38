# Copyright (c) mmfba authors.
from torch import Tensor, nn

from mmfba.local import INPUT, Unit

from .builder import register_chain
from .sr_chain import SRChain, residual_stage


@register_chain('mmagic.MSRResNet')
def msr_resnet_chain(net: nn.Module) -> SRChain:
    """Chain of MSRResNet.

    Units: the first conv (``stem``, no module of its own: it is trained with
    the first block) and the residual blocks ``trunk_net.<i>``. The tail is
    the upsampler; its output is added to the input image upsampled
    bilinearly.

    Args:
        net (nn.Module): mmagic's ``MSRResNet``.

    Returns:
        SRChain: Its units; the outputs are the last block and the input.
    """

    def stem(x: Tensor) -> Tensor:
        return net.lrelu(net.conv_first(x))

    def tail(modules: nn.Module, feature: Tensor) -> Tensor:
        for name in upsamplers:
            feature = getattr(modules, name)(feature)
        return modules.conv_last(net.lrelu(modules.conv_hr(feature)))

    def restore(residual: Tensor, image: Tensor) -> Tensor:
        return residual + net.img_upsampler(image)

    def finish(features: dict) -> Tensor:
        return restore(tail(net, features[last]), features[INPUT])

    def make_stage(
        in_channels: int, out_channels: int, stride: int, num_blocks: int
    ) -> nn.Module:
        return residual_stage(
            in_channels, out_channels, type(net.trunk_net[0]), num_blocks
        )

    upsamplers = ('upsample1',) + (
        ('upsample2',) if net.upscale_factor == 4 else ()
    )
    units = [Unit('stem', 0, stem, (net.conv_first,), cuttable=False)]
    units += [
        Unit(f'trunk_net.{i}', 1, block, (block,))
        for i, block in enumerate(net.trunk_net)
    ]
    last = units[-1].name
    return SRChain(
        tuple(units),
        (last, INPUT),
        finish,
        make_stage,
        scale=net.upscale_factor,
        out_channels=net.out_channels,
        tail_names=(*upsamplers, 'conv_hr', 'conv_last'),
        tail=tail,
        restore=restore,
        restore_reads=(INPUT,),
    )
