# Copyright (c) mmfba authors.
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Callable, Dict, List, Mapping, Sequence

import torch
from torch import Tensor, nn

from mmfba.local import Chain, LocalLearner, Step, probe_features
from mmfba.registry import TASK_UTILS

from .auxiliary import MainModel
from .auxiliary.auxiliary_network import check_num_images
from .build_auxiliaries import build_auxiliaries
from .chains import build_chain, with_lean_stem
from .image_wise import check_no_ghost_bn
from .main_head_changes import MainHeadChanges
from .neck_probe import Shape, map_shapes
from .optim_wrapper import check_lent, check_optim_wrapper
from .options import LocalLearningOptions
from .taps import check_read, check_taps, check_two_pass, last_readers
from .unexpected_keys import check_keys

AUXILIARY = 'local_aux'
"""The auxiliary networks' name in the model, and prefix of their weights."""


def is_auxiliary(name: str) -> bool:
    """Whether a weight, or a part of the model, is of auxiliary networks.

    Args:
        name (str): Its name in the model, as in the state dict.
    """
    return name.split('.')[0] == AUXILIARY


class LocalModel:
    """What local models share; mixed in before the plain model.

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_keys(self, super().__init__, kwargs)
        super().__init__(*args, **kwargs)

    def init_local_learning(self, options: LocalLearningOptions) -> None:
        """Cut the backbone and build the auxiliary networks.

        Args:
            options (LocalLearningOptions): ``model.local_learning``.
        """
        self.options = options
        main = self.main_model()
        chain = self.make_chain()
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

        self.local_aux = build_auxiliaries(options, main, features, cuts, taps)
        self.head_changes = MainHeadChanges(self)
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
        self.ranges, self.checkpointed = ranges, checkpoint
        self.main_reads = [n for n in main.outputs_read if n is not None]
        for index in self.learner.micro_batches:
            self.local_aux[index].check_image_wise()
            if not options.ghost_bn:
                units = chain.units[slice(*ranges[index])]
                parts = [m for unit in units for m in unit.modules]
                check_no_ghost_bn([*parts, self.local_aux[index]])
        self.check_auxiliaries(options, taps)

    def check_auxiliaries(
        self, options: LocalLearningOptions, taps: List[str]
    ) -> None:
        """Refuse options that the auxiliary networks do not have."""
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

    def cut_network(self) -> Dict[str, Any]:
        """What :class:`MainModel` says of what is cut."""
        chain = self.make_chain()
        units = [unit for unit in chain.units if len(unit.modules) == 1]
        return dict(
            backbone=self.local_backbone,
            outputs=chain.outputs,
            blocks={unit.name: unit.modules[0] for unit in units},
            make_stage=chain.make_stage,
        )

    def output_shapes(self) -> List[Shape]:
        """Shapes of the backbone's outputs, for two images."""
        features = probe_features(self.local_backbone, build_chain)
        return map_shapes(map(features.get, self.make_chain().outputs))

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

    @torch.compiler.disable  # traced, the order of the backwards is lost
    def local_loss(self, inputs: Tensor, targets: Any) -> Dict[str, Any]:
        """Losses of a training step, see :meth:`LocalLearner.run`."""
        check_lent(self)
        if self.training:
            check_num_images(self.local_aux, len(inputs))
        step = Step(self, self.make_chain(), self.local_aux, targets)
        with self.head_changes.followed(self), self.step_context():
            return self.learner.run(step, inputs)

    def step_context(self) -> AbstractContextManager:
        """Context of each training step."""
        return nullcontext()

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
        return [units[stop - 1].name for _, stop in self.ranges[:-1]]

    def describe(self) -> List[Dict[str, Any]]:
        """One row for each local module, as the user's log shows it.

        Returns:
            list[dict]: Index, first and last unit, parameters of module and
            auxiliary network, and the bank entries that it reads.
        """
        units = self.make_chain().units
        rows = []
        for i, (start, stop) in enumerate(self.ranges):
            aux = self.local_aux[i] if i < len(self.local_aux) else None
            module = units[start:stop]
            rows.append(
                dict(
                    module=i,
                    units=f'{module[0].name} .. {module[-1].name}',
                    parameters=self.count_parameters(module),
                    aux_parameters=_count([aux] if aux else []),
                    reads=list(aux.reads) if aux else self.main_reads,
                )
            )
        return rows

    def count_parameters(self, units: Sequence[Any]) -> int:
        """Number of values of the parameters of some units."""
        return _count(units)


def _check_no_checkpointing(backbone: nn.Module) -> None:
    if any(getattr(m, 'with_cp', False) for m in backbone.modules()):
        raise ValueError(
            'backbone.with_cp=True: it checkpoints only blocks whose input '
            'requires a gradient, so it would skip the first block of every '
            'local module: set with_cp=False and '
            'model.local_learning.checkpoint=True'
        )


def _count(parts: Sequence[Any]) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())
