# Copyright (c) mmfba authors.
import math
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from .call import tensors_of
from .edges import Edges
from .replacement import replaced


@dataclass(frozen=True)
class Cuts:
    """Where a network's forward is cut, by names of its modules.

    Attributes:
        modules (tuple[str]): Those whose output ends a local module, in order.
        skips (tuple[str]): Modules whose output runs past a cut, to be read
            by a later module of the network.
        aside (tuple[str]): Modules that only an output of the network
            reaches, such as the norm of a pyramid level: they see their input
            detached and learn from the main loss.
        closed (tuple[int]): Which of the network's outputs, counted flat,
            were made before the last cut.
        bypasses (tuple[tuple[str, str]]): Modules whose output goes past the
            network's own code, to the module that alone reads it, since that
            code would keep it for longer than is needed.
    """

    modules: Tuple[str, ...] = ()
    skips: Tuple[str, ...] = ()
    aside: Tuple[str, ...] = ()
    closed: Tuple[int, ...] = ()
    bypasses: Tuple[Tuple[str, str], ...] = ()


class Interception:
    """Cuts a network while its own forward runs, by hooks on its modules.

    What follows a cut sees data without a graph: the output of the cut's
    module, whatever runs past it, and the network's outputs that were made
    before the last cut. The modules' hooks end with the context.

    Args:
        network (nn.Module): The backbone, or the generator of an editor.
        cuts (Cuts): Where.
        on_cut (Callable): ``on_cut(index, output)`` is called with what the
            module at a cut returned, live. Behind it nothing reaches that
            graph.
        taps (tuple[str]): Modules whose output somebody wants. Defaults to
            ().
        on_tap (Callable, optional): ``on_tap(name, output)`` is called with
            it, before ``on_cut``. Defaults to None.
    """

    def __init__(
        self,
        network: nn.Module,
        cuts: Cuts,
        on_cut: Callable[[int, Any], None],
        taps: Tuple[str, ...] = (),
        on_tap: Optional[Callable[[str, Any], None]] = None,
    ) -> None:
        self.network, self.cuts = network, cuts
        self.on_cut, self.taps, self.on_tap = on_cut, taps, on_tap
        self._hooks = ExitStack()
        self._edges = Edges()
        self._held: List[Tuple[Tensor, Tensor]] = []
        self._done = 0
        self._calls = 0

    def __enter__(self) -> 'Interception':
        with self._hooks:  # they go if one cannot be set
            self._set_hooks()
            self._hooks = self._hooks.pop_all()
        return self

    def _set_hooks(self) -> None:
        # Hooks of one module run in this order: a tap is given what a cut
        # detaches, and what is held has been cut.
        module = self.network.get_submodule
        self._add(self.network.register_forward_pre_hook(self._begin))
        for name in self.cuts.aside:
            self._add(module(name).register_forward_pre_hook(_detach_inputs))
        for name in self.cuts.skips:
            self._add(module(name).register_forward_hook(self._skip))
        for name in self.taps:
            tap = partial(self._tap, name)
            self._add(module(name).register_forward_hook(tap))
        for index, name in enumerate(self.cuts.modules):
            cut = partial(self._cut, index)
            self._add(module(name).register_forward_hook(cut))
        for name, reader in self.cuts.bypasses:
            self._add(module(name).register_forward_hook(self._hold))
            reads = module(reader)
            forward = partial(self._take_held, reads.forward)
            self._hooks.enter_context(replaced({reads: forward}))
        self._add(self.network.register_forward_hook(self._end))

    def _add(self, handle: Any) -> None:
        self._hooks.callback(handle.remove)

    def __exit__(self, *exc_info: Any) -> None:
        self._hooks.close()

    def _begin(self, network: nn.Module, args: Any) -> None:
        self._calls += 1
        if self._calls > 1 and self.cuts.modules:
            raise RuntimeError(
                f'{type(network).__name__} runs more than once in a training '
                'step, so that it is not known which of its outputs a local '
                'loss belongs to: local_learning.num_modules=1 trains it'
            )

    def _tap(self, name: str, module: nn.Module, args: Any, out: Any) -> Any:
        if self.cuts.skips:
            # Or a backward would pass what made it for the bank's readers,
            # and again for a skip that begins behind it.
            out = tree_map_only(Tensor, self._edges.leaf, out)
        self.on_tap(name, out)
        return out

    def _skip(self, module: nn.Module, args: Any, out: Any) -> Any:
        """Let all that follows read a leaf, which a cut can close."""
        return tree_map_only(Tensor, self._edges.leaf, out)

    def _hold(self, module: nn.Module, args: Any, out: Tensor) -> Tensor:
        """Give the network something of the same shape, without memory."""
        # Whoever reads its values after all gets a loss that is not finite.
        stand_in = out.new_full((), math.nan).expand(out.shape)
        self._held.append((stand_in, out))
        return stand_in

    def _take_held(
        self, forward: Callable, x: Tensor, *args: Any, **kwargs: Any
    ) -> Any:
        """Give the only reader what was held."""
        stand_in, out = self._held.pop() if self._held else (None, None)
        if x is not stand_in:
            self._refuse_other_order()
        return forward(out, *args, **kwargs)

    def _refuse_other_order(self) -> None:
        raise RuntimeError(
            f'{type(self.network).__name__} does not hand its features from '
            'module to module as it did when it was built: '
            'local_learning.num_modules=1, without checkpoint, trains it'
        )

    def _cut(self, index: int, module: nn.Module, args: Any, out: Any) -> Any:
        self._check_turn(index)
        self.on_cut(index, out)
        self._done = index + 1
        self._edges.close()
        return tree_map_only(Tensor, Tensor.detach, out)

    def _check_turn(self, index: int) -> None:
        name = self.cuts.modules[index]
        if not torch.is_grad_enabled():
            raise RuntimeError(
                f'The unit {name!r}, after which the network is cut, runs '
                'without gradients, as reentrant checkpointing does: use '
                'model.local_learning.checkpoint in its place'
            )
        if index != self._done:
            raise RuntimeError(
                f'The unit {name!r}, after which the network is cut, ran out '
                f'of turn, or twice, or one before it was skipped; the cuts '
                f'are after {list(self.cuts.modules)}: choose others'
            )

    def _end(self, network: nn.Module, args: Any, out: Any) -> Any:
        if self._held:
            self._refuse_other_order()
        if self._done < len(self.cuts.modules):
            raise RuntimeError(
                f'The unit {self.cuts.modules[self._done]!r}, after which the '
                'network is cut, did not run in this step: choose another'
            )
        if not self.cuts.closed:
            return None
        index = iter(range(len(list(tensors_of(out)))))
        return tree_map_only(
            Tensor,
            lambda t: t.detach() if next(index) in self.cuts.closed else t,
            out,
        )


def _detach_inputs(module: nn.Module, args: Any) -> Any:
    return tree_map_only(Tensor, Tensor.detach, args)
