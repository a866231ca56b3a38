# Copyright (c) mmfba authors.
import copy
import inspect
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import torch
from torch import Tensor, nn

from mmfba.local import INPUT, FeatureSpec
from mmfba.local.lean_stem import check_lean_stem, lean_stem
from mmfba.local.local_learner import LocalLearner
from mmfba.local.ownership import find_owners
from mmfba.local.probe import Probe, probe
from mmfba.local.recompute import recomputing
from mmfba.local.replacement import as_one
from mmfba.local.trained import Trained
from mmfba.local.unit_finder import find_units
from mmfba.local.units import Anatomy, Unit
from mmfba.registry import TASK_UTILS

from .auxiliary.auxiliary_network import check_num_images
from .blocks import stage_maker
from .build_auxiliaries import build_auxiliaries
from .local_model import LocalModel
from .main_head_changes import MainHeadChanges
from .neck_probe import SIZE, Shape
from .optim_wrapper import check_lent
from .options import LocalLearningOptions
from .probe_sizes import probe_sizes
from .taps import check_taps, last_readers

Losses = Dict[str, Any]


class Localised(LocalModel):
    """Local learning of any plain model, mixed in before its class.

    A training step is the plain model's own ``loss()``, while its network is
    cut by forward hooks, see :class:`mmfba.local.local_learner.LocalLearner`.

    Attributes:
        library (str): The library of the plain model.
        network_name (str): Its attribute that is cut.
        anatomy (Anatomy): The network's units.
        ranges (list[tuple[int, int]]): Those of each local module.
    """

    library = ''
    network_name = 'backbone'
    anatomy: Anatomy

    def __init__(
        self,
        *args: Any,
        local_learning: Optional[Mapping[str, Any]] = None,
        **kwargs: Any,
    ) -> None:
        plain = super(LocalModel, self).__init__
        names = [*inspect.signature(plain).parameters]
        kwargs.update(zip(names, args))
        # Auxiliary networks are built like its parts; models change configs.
        parts = ('neck', 'head', 'bbox_head', 'train_cfg', 'test_cfg')
        configs = copy.deepcopy({k: kwargs[k] for k in parts if k in kwargs})
        super().__init__(**kwargs)
        if not hasattr(self, self.network_name):
            raise ValueError(
                f'model.type: {type(self).__name__} has no '
                f'{self.network_name} that could be cut: train it plainly'
            )
        self.plain_configs = configs
        self.init_local_learning(
            LocalLearningOptions.from_config(
                local_learning or {}, self.default_auxiliary()
            )
        )

    def default_auxiliary(self) -> Dict[str, Any]:
        """The task's auxiliary network, where the config says nothing."""
        raise NotImplementedError

    @property
    def local_backbone(self) -> nn.Module:
        """nn.Module: What is cut into local modules."""
        return getattr(self, self.network_name)

    def init_local_learning(self, options: LocalLearningOptions) -> None:
        found = self._probe()
        self.anatomy = find_units(found).trained_in(self.local_backbone)
        if not options.stem_unit:
            stem, *others = self.anatomy.units
            units = (replace(stem, cuttable=False), *others)
            self.anatomy = replace(self.anatomy, units=units)
        self.options = options
        if isinstance(options.partition, Mapping):
            options = options.with_cuts(
                TASK_UTILS.build(options.partition)(self, options)
            )
        ranges = self.ranges = options.ranges(self.anatomy)
        self._check_options(options)
        ends = [self.anatomy.units[stop - 1] for _, stop in ranges[:-1]]
        self.ownership = find_owners(found, ends)
        self.checkpointed = options.checkpointed(len(ranges))
        features = self.features(found)
        main, cuts = self.main_model(), [unit.name for unit in ends]
        self.main_reads = [n for n in main.outputs_read if n is not None]
        taps = options.taps
        if taps is None:
            taps = self.default_taps(main, cuts)
        check_taps(taps, list(features))
        self.local_aux = build_auxiliaries(options, main, features, cuts, taps)
        self.head_changes = MainHeadChanges(self)
        self.learner = LocalLearner(
            self.ownership.cuts,
            features,
            cuts,
            last_readers(self.local_aux, ()),
            backward=options.backward,
            timing=options.timing,
            loss_weights=options.loss_weights(len(cuts)),
            chunk=options.chunk,
        )
        self.check_auxiliaries(options, taps)

    def _probe(self) -> Probe:
        network = self.local_backbone
        found = probe(network, probe_sizes(network, self.library))
        self._outputs = [tuple(tensor.shape) for tensor in found.outputs]
        self._inputs = tuple(found.inputs.shape)
        return found

    def _check_options(self, options: LocalLearningOptions) -> None:
        counts = options.micro_batch_counts(len(self.ranges) - 1)
        if any(count > 1 for count in counts):
            raise ValueError(
                f'local_learning.micro_batches={options.micro_batches!r}: '
                f'{type(self).__name__} has none: use chunk, or accumulate '
                'by optim_wrapper.accumulative_counts'
            )
        if options.lean_stem:
            check_lean_stem(self._stem())

    def make_chain(self) -> Anatomy:
        return self.anatomy

    def features(self, found: Probe) -> Dict[str, FeatureSpec]:
        """The network's features by name, the input first.

        Args:
            found (Probe): Its probe forward.
        """
        image = FeatureSpec(INPUT, 0, found.inputs.shape[1], 1)
        units = self.anatomy.units
        return {INPUT: image, **{u.name: u.feature for u in units}}

    def cut_network(self) -> Dict[str, Any]:
        network, units = self.local_backbone, self.anatomy.units
        blocks = {
            unit.name: network.get_submodule(unit.runs[0][0])
            for unit in units
            if len(unit.runs) == len(unit.runs[0]) == 1
        }
        return dict(
            backbone=network,
            outputs=self.anatomy.outputs,
            blocks=blocks,
            make_stage=stage_maker(network),
        )

    def output_shapes(self) -> List[Shape]:
        """Shapes of the backbone's outputs, for two images of 128 pixels."""
        factor = SIZE / self._inputs[-1]
        return [
            (*shape[:2], *(max(1, int(n * factor)) for n in shape[2:]))
            if len(shape) == 4
            else shape
            for shape in self._outputs
        ]

    @torch.compiler.disable  # traced, the order of the backwards is lost
    def local_loss(
        self, inputs: Tensor, targets: Any, plain: Callable[[], Losses]
    ) -> Losses:
        """Losses of a training step, see :meth:`LocalLearner.run`.

        Args:
            inputs (Tensor): Images, (N, C, H, W).
            targets (Any): Their targets.
            plain (Callable): Computes the plain model's own losses.
        """
        check_lent(self)
        if self.training:
            check_num_images(self.local_aux, len(inputs))
        if self.learner.by_chunks:
            plain = partial(self.image_wise, inputs, targets)
        trained = Trained(
            self,
            self.local_backbone,
            self.ownership.owned,
            self.local_aux,
            targets,
            self._forwards(),
        )
        with self.head_changes.followed(self), self.step_context():
            return self.learner.run(trained, inputs, plain)

    def count_parameters(self, units: Sequence[Unit]) -> int:
        network = self.local_backbone
        names = [name for unit in units for name in unit.parameters]
        return sum(network.get_parameter(name).numel() for name in names)

    def _forwards(self) -> Dict[nn.Module, Callable]:
        """Modules that run another forward, to the same effect."""
        network, forwards = self.local_backbone, {}
        units = [
            unit
            for index in self.checkpointed
            for unit in self.anatomy.units[slice(*self.ranges[index])]
        ]
        stem = self.anatomy.units[0]
        if self.options.lean_stem:
            units = [unit for unit in units if unit is not stem]
            forwards = as_one(self._stem(), partial(lean_stem, self._stem()))
        return {**recomputing(network, units), **forwards}

    def _stem(self) -> List[nn.Module]:
        names = self.anatomy.units[0].runs[0]
        return [self.local_backbone.get_submodule(name) for name in names]
