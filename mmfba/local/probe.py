# Copyright (c) mmfba authors.
"""One forward of a network, recorded: what each module left to the rest."""

from collections import Counter
from contextlib import ExitStack
from typing import Any, Container, List, Optional, Sequence, Set, Tuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .call import Call, pairs_in, tensors_of
from .copies import copy_module
from .isolation import graph_leaves, graph_of
from .kept_bytes import KeptBytes
from .statistics import is_batch_norm


class Probe:
    """Runs a network once and reads the autograd graph of its outputs.

    Args:
        network (nn.Module): In the mode that it is trained in; every
            parameter should require a gradient.
        inputs (Tensor): A batch as in training, (N, C, H, W).

    Attributes:
        root (Call): The call of the network.
        outputs (list[Tensor]): What it returned.
    """

    def __init__(self, network: nn.Module, inputs: Tensor) -> None:
        self.network, self.inputs = network, inputs
        self._names = {m: name for name, m in network.named_modules()}
        self._counts: Counter = Counter()
        self._open = [Call('', nn.Module())]
        weights = (*network.parameters(), *network.buffers())
        self._kept = KeptBytes(weights)
        with ExitStack() as stack:
            stack.enter_context(self._kept)
            for module in network.modules():
                for handle in (
                    module.register_forward_pre_hook(
                        self._enter, with_kwargs=True
                    ),
                    module.register_forward_hook(self._leave),
                ):
                    stack.callback(handle.remove)
            self.outputs = self.run()
        (self.root,) = self._open.pop().children
        self._read_graph()

    def run(self, inputs: Optional[Tensor] = None) -> List[Tensor]:
        """Run the network once more, with the same random numbers; what it
        returns, flat."""
        inputs = self.inputs if inputs is None else inputs
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return list(tensors_of(self.network(inputs)))

    def passes(self, names: Sequence[str]) -> bool:
        """Whether what it returns is made of the input by another way, too,
        than what modules of these names return."""
        inputs = self.inputs.detach().requires_grad_()
        with ExitStack() as stack:
            for name in names:
                module = self.network.get_submodule(name)
                stack.callback(module.register_forward_hook(_detach).remove)
            # A network may work in place on what it is given.
            return inputs in graph_leaves(*self.run(inputs * 1))

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        call = Call(self._names[module], module)
        call.inputs = tuple(tensors_of((args, kwargs)))
        if args and isinstance(args[0], Tensor):
            call.given, call.given_version = args[0], args[0]._version
        call.grids = list(pairs_in((args, kwargs)))
        self._counts[module] += 1
        self._open[-1].children.append(call)
        self._open.append(call)

    def _leave(self, module: nn.Module, args: Any, out: Any) -> None:
        call = self._open.pop()
        call.exit = torch._C._autograd._get_sequence_nr()
        call.kept = self._kept.total
        call.outputs = tuple(tensors_of(out))
        call.returned = out if isinstance(out, Tensor) else None
        call.nodes = tuple(t.grad_fn for t in call.outputs)
        call.versions = tuple(t._version for t in call.outputs)
        call.grids += list(pairs_in(out))

    def _read_graph(self) -> None:
        """For each node when it was made and when it was used last."""
        nodes, _ = graph_of(*self.outputs)
        last_use: dict = {}
        for node in nodes:
            use = node._sequence_nr()
            for source, _ in node.next_functions:
                if source in nodes:
                    last_use[source] = max(use, last_use.get(source, use))
        self._nodes = list(last_use)
        # A default device may have no values.
        self._made, self._used = (
            torch.tensor(numbers, device='cpu')
            for numbers in (
                [n._sequence_nr() for n in self._nodes],
                [last_use[n] for n in self._nodes],
            )
        )

    @property
    def size(self) -> Tuple[int, int]:
        """tuple[int, int]: Height and width of the input."""
        return tuple(self.inputs.shape[-2:])

    def once(self, call: Call) -> bool:
        """Whether the module was called once in all."""
        return self._counts[call.module] == 1

    def crossing(self, call: Call) -> Set[Any]:
        """What was made before a call ended and is used after it, by another
        way than the call's outputs: nodes of the autograd graph."""
        if not self._nodes:
            return set()
        alive = (self._made < call.exit) & (self._used >= call.exit)
        nodes = {self._nodes[i] for i in alive.nonzero().flatten().tolist()}
        return nodes.difference(call.nodes)

    def maker(self, node: Any) -> Optional[Call]:
        """The call whose output a node of the graph made, if a leaf can take
        its place.

        None if no module returned it, or one that is called more than once, or
        if it was overwritten in place later.
        """
        for call in self.root.walk():
            if node not in call.nodes:
                continue
            tensor = call.outputs[call.nodes.index(node)]
            version = call.versions[call.nodes.index(node)]
            if tensor._version == version and self.once(call):
                return call
            return None
        return None

    def latest(self, tensor: Tensor, nodes: Container[Any]) -> Optional[Any]:
        """Of some nodes the last one that an output was made of."""
        found, seen, todo = None, set(), [tensor.grad_fn]
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            number = node._sequence_nr()
            if node not in nodes:
                todo.extend(source for source, _ in node.next_functions)
            elif found is None or number > found._sequence_nr():
                found = node
        return found


def probe(network: nn.Module, sizes: Sequence[int]) -> Probe:
    """Run a copy of a network once, on the meta device where it can.

    Args:
        network (nn.Module): The network. It is not changed.
        sizes (Sequence[int]): Heights and widths of the input to try, in
            pixels, until one fits.

    Raises:
        TypeError: If the network runs with none of them.
    """
    convs = (
        m for m in network.modules() if isinstance(m, nn.modules.conv._ConvNd)
    )
    channels = [conv.in_channels for conv in convs][:1]
    dtype = next(network.parameters()).dtype
    errors = []
    for device in ('meta', 'cpu'):
        twin = _on(device, copy_module(network))
        _make_trainable(twin)
        # Some networks fold pixels into channels before their first conv.
        for channel in dict.fromkeys((*channels, 3)):
            for size in sizes:
                shape = (2, channel, size, size)
                images = torch.ones(shape, dtype=dtype, device=device)
                try:
                    return Probe(twin, images)
                except Exception as error:
                    errors.append(f'{shape} on {device}: {error}')
    raise TypeError(
        f'{type(network).__name__} cannot be probed, so that its units are '
        f'unknown: {errors[0]}'
    )


def _detach(module: nn.Module, args: Any, out: Any) -> Any:
    return out.detach() if isinstance(out, Tensor) else out


class _Scales(_BatchNorm):
    """What batch normalisation is to the graph, without its statistics.

    On the meta device these take nearly all the time, and synchronised ones
    need a GPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.affine:
            return x * 1
        shape = (1, -1, *[1] * (x.dim() - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)


def _on(device: str, network: nn.Module) -> nn.Module:
    """Move a network; what has no values yet becomes zero."""

    def move(tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            return torch.zeros_like(tensor, device=device)
        return tensor.to(device)

    return network._apply(move)


def _make_trainable(network: nn.Module) -> None:
    """As in training from scratch, without what has no graph or needs a
    GPU."""
    network.train()
    for module in network.modules():
        if getattr(module, 'with_cp', False):
            module.with_cp = False
        if is_batch_norm(module):
            module.__class__ = _Scales
    for parameter in network.parameters():
        parameter.requires_grad_(True)
