# Copyright (c) mmfba authors.
from dataclasses import replace
from functools import partial
from typing import Callable, Dict

from torch import nn

from mmfba.local import Chain
from mmfba.local.lean_stem import check_lean_stem, lean_stem
from mmfba.type_name import qualified_name

ChainMaker = Callable[[nn.Module], Chain]
_MAKERS: Dict[str, ChainMaker] = {}


def register_chain(*names: str) -> Callable[[ChainMaker], ChainMaker]:
    """Register the chain adapter of backbone classes.

    Args:
        *names (str): ``<top-level package>.<class name>`` of each class. Its
            subclasses are covered as long as they keep its forward.

    Examples:
        >>> @register_chain('mypackage.PlainNet')
        >>> def plainnet_chain(backbone):
        >>>     units = [Unit(f'blocks.{i}', 1, b, (b, ))
        >>>              for i, b in enumerate(backbone.blocks)]
        >>>     last = units[-1].name
        >>>     return Chain(tuple(units), (last, ), lambda f: (f[last], ),
        >>>                  make_stage)
    """

    def register(maker: ChainMaker) -> ChainMaker:
        _MAKERS.update(dict.fromkeys(names, maker))
        return maker

    return register


def build_chain(backbone: nn.Module, stem_unit: bool = True) -> Chain:
    """Make the chain of a backbone, from its weights as they are now.

    Args:
        backbone (nn.Module): A backbone of a registered family.
        stem_unit (bool): Whether a stem that can be a module of its own is
            one. If not it is trained with the first block. Defaults to True.

    Returns:
        Chain: The backbone's units.

    Raises:
        TypeError: If no adapter is registered for the backbone.
    """
    chain = _maker_of(type(backbone))(backbone)
    if not stem_unit:
        stem = replace(chain.units[0], cuttable=False)
        chain = replace(chain, units=(stem, *chain.units[1:]))
    return chain


def with_lean_stem(chain: Chain) -> Chain:
    """The same chain with a stem that keeps nothing but its input.

    Raises:
        ValueError: See :func:`mmfba.local.lean_stem.check_lean_stem`.
    """
    stem = chain.units[0]
    check_lean_stem(stem.modules)
    stem = replace(
        stem, forward=partial(lean_stem, stem.modules), recomputes=True
    )
    return replace(chain, units=(stem, *chain.units[1:]))


def _maker_of(backbone: type) -> ChainMaker:
    for cls in backbone.__mro__:
        name = qualified_name(cls)
        if name not in _MAKERS:
            continue
        if backbone.forward is not cls.forward:
            raise TypeError(
                f'{backbone.__name__} has a forward of its own, so the chain '
                f'of {name} may not describe it: register one for it '
                '(docs/architecture.md, "A new family")'
            )
        return _MAKERS[name]
    raise TypeError(
        f'No chain for the backbone {backbone.__name__}; there are chains '
        f'for {sorted(_MAKERS)} and their subclasses. A new family is one '
        'file: docs/architecture.md, "A new family"'
    )
