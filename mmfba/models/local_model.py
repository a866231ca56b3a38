# Copyright (c) mmfba authors.
from typing import Any, Callable, Dict, Iterator, List, Mapping

import torch
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmfba.local import Chain, LocalLearner, Step, probe_features
from mmfba.registry import MODELS, TASK_UTILS

from .auxiliary import MainModel, UnitSpec
from .auxiliary.auxiliary_network import check_num_images
from .chains import build_chain, with_lean_stem
from .image_wise import check_no_ghost_bn
from .optim_wrapper import check_optim_wrapper
from .options import LocalLearningOptions
from .taps import (
    check_read,
    check_taps,
    check_two_pass,
    last_readers,
    readable,
)

AUXILIARY = 'local_aux'
"""The auxiliary networks' name in the model, and prefix of their weights."""


def is_auxiliary(name: str) -> bool:
    """Whether a weight, or a part of the model, is of auxiliary networks.

    Args:
        name (str): Its name in the model, as in the state dict.
    """
    return name.split('.')[0] == AUXILIARY


class LocalModel:
    """What the three local models share; mixed in before the plain model.

    Adds two attributes: ``learner``, and ``local_aux`` with the auxiliary
    networks. All else, and what predict and tensor modes do, is the plain
    model's.

    Note:
        The plain part of the state dict keeps its keys; auxiliary weights
        have the prefix ``local_aux.``.
    """

    learner: LocalLearner
    local_aux: nn.ModuleList
    local_backbone: nn.Module
    """What is cut into local modules."""

    def init_local_learning(self, options: LocalLearningOptions) -> None:
        """Cut the backbone and build the auxiliary networks.

        Args:
            options (LocalLearningOptions): ``model.local_learning``.
        """
        self.options = options
        main = self.main_model()
        chain = main.chain
        if isinstance(options.partition, Mapping):
            options = options.with_cuts(
                TASK_UTILS.build(options.partition)(self, options)
            )
        ranges = options.ranges(chain)
        cuts = [chain.units[stop - 1].name for _, stop in ranges[:-1]]
        checkpoint = options.checkpointed(len(ranges))
        if cuts:
            _check_no_checkpointing(main.backbone)
        taps = options.taps
        if taps is None:
            taps = self.default_taps(main, cuts)
        check_taps(taps, chain.names)
        features = probe_features(main.backbone, build_chain)

        # Forked, so that the main weights, and all that is drawn later,
        # are those of plain training with the same seed.
        with _forked_random_state():
            self.local_aux = AuxiliaryNetworks(
                [
                    MODELS.build(
                        options.auxiliary,
                        default_args=dict(
                            spec=UnitSpec(
                                index=i,
                                num_modules=len(ranges),
                                cut=features[cut],
                                features=features,
                                readable=readable(
                                    taps, cut, chain.names, options.timing
                                ),
                                main=main,
                                checkpoint=i in checkpoint,
                            )
                        ),
                    )
                    for i, cut in enumerate(cuts)
                ]
            )
        self.learner = LocalLearner(
            ranges,
            last_readers(self.local_aux, main.outputs_read),
            backward=options.backward,
            timing=options.timing,
            loss_weights=options.loss_weights(len(cuts)),
            chunk=options.chunk,
            checkpoint=checkpoint,
            micro_batches=options.micro_batch_counts(len(cuts)),
        )
        for index in self.learner.micro_batches:
            self.local_aux[index].check_image_wise()
            if not options.ghost_bn:
                units = chain.units[slice(*ranges[index])]
                parts = [m for unit in units for m in unit.modules]
                check_no_ghost_bn([*parts, self.local_aux[index]])
        if options.chunk is not None:
            self.check_image_wise()
            for aux in self.local_aux:
                aux.check_image_wise()
        if options.timing == 'two_pass':
            check_two_pass(self.local_aux)
        if options.taps is not None:
            check_read(taps, self.learner.bank.read_names)

    def make_chain(self) -> Chain:
        """The backbone's chain, from its weights as they are now."""
        chain = build_chain(self.local_backbone, self.options.stem_unit)
        return with_lean_stem(chain) if self.options.lean_stem else chain

    def main_model(self) -> MainModel:
        """What auxiliary networks may look up."""
        raise NotImplementedError

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        """The task's bank entries, where ``taps`` is not set.

        Args:
            main (MainModel): What :meth:`main_model` returned.
            cuts (list[str]): Names of the units that are cut after.
        """
        raise NotImplementedError

    def local_loss(self, inputs: Tensor, targets: Any) -> Dict[str, Any]:
        """Losses of a training step, see :meth:`LocalLearner.run`."""
        if self.training:
            check_num_images(self.local_aux, len(inputs))
        chain = self.make_chain()
        step = Step(self, chain, self.local_aux, targets)
        return self.learner.run(step, inputs)

    def main_loss(self, features: Any, targets: Any) -> Dict[str, Any]:
        """Losses of the plain network from what its backbone returns."""
        raise NotImplementedError

    def image_wise_loss(
        self, targets: Any
    ) -> Callable[[Any, slice], Dict[str, Any]]:
        """The same as a function of some images, see :class:`ImageWise`."""
        raise NotImplementedError

    def check_image_wise(self) -> None:
        """Refuse ``local_learning.chunk`` where it would not be exact.

        Raises:
            ValueError: It names what sees the whole batch.
        """
        raise ValueError(
            f'local_learning.chunk={self.learner.chunk}: '
            f'{type(self).__name__} has no image-wise loss; it is worth '
            'while where head or tail work at high resolution, in detection '
            'and super-resolution: leave chunk out'
        )

    def train_step(self, data: Any, optim_wrapper: Any) -> Dict[str, Tensor]:
        """As upstream's, after a check of the optimizer wrapper.

        Raises:
            TypeError: If the wrapper would run local backwards wrongly.
        """
        check_optim_wrapper(self, optim_wrapper)
        return super().train_step(data, optim_wrapper)

    @property
    def cuts(self) -> List[str]:
        """list[str]: Names of the units that are cut after."""
        units = self.make_chain().units
        return [units[stop - 1].name for _, stop in self.learner.modules[:-1]]

    def describe(self) -> List[Dict[str, Any]]:
        """One row for each local module, as the user's log shows it.

        Returns:
            list[dict]: Index, first and last unit, parameters of module and
            auxiliary network, and the bank entries that it reads.
        """
        chain = self.make_chain()
        rows = []
        for i, (start, stop) in enumerate(self.learner.modules):
            aux = self.local_aux[i] if i < len(self.local_aux) else None
            units = chain.units[start:stop]
            rows.append(
                dict(
                    module=i,
                    units=f'{units[0].name} .. {units[-1].name}',
                    parameters=_count(units),
                    aux_parameters=_count([aux] if aux else []),
                    reads=list(aux.reads)
                    if aux
                    else [
                        n
                        for n in chain.outputs
                        if n in self.learner.bank.read_names
                    ],
                )
            )
        return rows


class AuxiliaryNetworks(ModuleList):
    """The auxiliary networks; their initialization draws from a copy of the
    random state."""

    def init_weights(self) -> None:
        """Initialize without a trace in the global random state."""
        with _forked_random_state():
            super().init_weights()


def _check_no_checkpointing(backbone: nn.Module) -> None:
    if any(getattr(m, 'with_cp', False) for m in backbone.modules()):
        raise ValueError(
            'backbone.with_cp=True: it checkpoints only blocks whose input '
            'requires a gradient, so it would skip the first block of every '
            'local module: set with_cp=False and '
            'model.local_learning.checkpoint=True'
        )


def _forked_random_state():
    devices = (
        [torch.cuda.current_device()] if torch.cuda.is_available() else []
    )
    return torch.random.fork_rng(devices=devices)


def _count(parts: Iterator[Any]) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())
