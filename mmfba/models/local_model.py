# Copyright (c) mmfba authors.
import copy
import inspect
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional

import torch
from torch import Tensor, nn

from mmfba.local import INPUT, FeatureSpec, ImageWise, LocalLearner
from mmfba.local.lean_stem import check_lean_stem
from mmfba.local.ownership import find_owners
from mmfba.local.probe import Probe, probe
from mmfba.local.trained import Trained
from mmfba.local.unit_finder import find_units

from .auxiliary import MainModel
from .auxiliary.auxiliary_network import check_num_images
from .blocks import stage_maker
from .build_auxiliaries import build_auxiliaries
from .forwards import other_forwards, recomputed_units, stem_of
from .main_head_changes import MainHeadChanges
from .neck_probe import Shape, resized
from .optim_wrapper import check_lent, check_optim_wrapper
from .options import LocalLearningOptions
from .probe_sizes import probe_sizes
from .taps import check_readers, check_taps, last_readers
from .unexpected_keys import check_keys

Losses = Dict[str, Any]


class LocalModel:
    """Local learning of any plain model, mixed in before its class.

    A training step is the plain model's own ``loss()``, while its network is
    cut by forward hooks, see :class:`mmfba.local.LocalLearner`. Predict and
    tensor modes are the plain model's. Subclasses say what differs by task.

    Attributes:
        library (str): The library of the plain model.
        network_name (str): Its attribute that is cut.
        anatomy (Anatomy): The network's units.
        ranges (list[tuple[int, int]]): Those of each local module.
        taps (tuple[str]): What goes into the bank.
        learner (LocalLearner): What runs a training step.
        local_aux (nn.ModuleList): The auxiliary networks.

    The state dict keeps its keys; auxiliary weights have the prefix
    ``local_aux.``.
    """

    library = ''
    network_name = 'backbone'
    remark = ''  # for the log

    def __init__(
        self,
        *args: Any,
        local_learning: Optional[Mapping[str, Any]] = None,
        **kwargs: Any,
    ) -> None:
        plain = super().__init__
        kwargs.update(zip(inspect.signature(plain).parameters, args))
        check_keys(self, plain, kwargs)
        # Auxiliary networks are built like its parts; models change configs.
        keys = {'neck', 'head', 'bbox_head', 'train_cfg', 'test_cfg'} & {
            *kwargs
        }
        configs = copy.deepcopy({key: kwargs[key] for key in keys})
        plain(**kwargs)
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

    def main_model(self, found: Probe) -> MainModel:
        """What auxiliary networks may look up, by the network's probe."""
        raise NotImplementedError

    def default_taps(self, main: MainModel, cuts: List[str]) -> List[str]:
        """The task's bank entries, where ``taps`` is not set, by the main
        model and the units that are cut after."""
        raise NotImplementedError

    @property
    def local_backbone(self) -> nn.Module:
        """nn.Module: What is cut into local modules."""
        return getattr(self, self.network_name)

    def init_local_learning(self, options: LocalLearningOptions) -> None:
        """Cut the network and build the auxiliary networks."""
        self.options = options
        network = self.local_backbone
        found = probe(network, probe_sizes(network, self.library))
        self._outputs = [tuple(tensor.shape) for tensor in found.outputs]
        self._inputs = tuple(found.inputs.shape)
        self.anatomy = find_units(found).trained_in(network)
        if options.lean_stem:
            check_lean_stem(stem_of(self))
        options = options.with_partition_of(self)
        ranges = self.ranges = options.ranges(self.anatomy)
        cut_units = [self.anatomy.units[stop - 1] for _, stop in ranges[:-1]]
        self.ownership = find_owners(found, cut_units)
        self.checkpointed = options.checkpointed(len(ranges))
        features = self.features(found)
        main, cuts = self.main_model(found), [unit.name for unit in cut_units]
        if options.fast_head and main.anchor_targets is None:
            raise ValueError(
                'local_learning.fast_head=True: this model has no dense head '
                'with anchors: leave it out'
            )
        self.outputs_read = main.outputs_read
        taps = options.taps
        if taps is None:
            taps = self.default_taps(main, cuts)
        check_taps(taps, list(features))
        self.taps = tuple(taps)
        self.local_aux = build_auxiliaries(options, main, features, cuts, taps)
        self.head_changes = MainHeadChanges(self)
        self.learner = LocalLearner(
            replace(
                self.ownership.cuts,
                bypasses=self.anatomy.bypasses(
                    self.outputs_read, recomputed_units(self)
                ),
            ),
            features,
            cuts,
            last_readers(self.local_aux),
            backward=options.backward,
            timing=options.timing,
            loss_weight=options.loss_weight,
            chunk=options.chunk,
        )
        if options.chunk is not None:
            self.check_image_wise()
            for aux in self.local_aux:
                aux.check_image_wise()
        check_readers(options, self.local_aux, self.learner.bank.read_names)

    def features(self, found: Probe) -> Dict[str, FeatureSpec]:
        """The network's features by name, the input first."""
        image = FeatureSpec(INPUT, 0, found.inputs.shape[1], 1)
        return {INPUT: image, **self.anatomy.features}

    def cut_network(self) -> Dict[str, Any]:
        """What :class:`MainModel` says of what is cut."""
        network, units = self.local_backbone, self.anatomy.units
        return dict(
            backbone=network,
            outputs=self.anatomy.outputs,
            blocks={
                unit.name: network.get_submodule(unit.end)
                for unit in units
                if unit.is_one_module
            },
            make_stage=stage_maker(network),
        )

    def output_shapes(self) -> List[Shape]:
        """Shapes of the backbone's outputs, for two images of 128 pixels."""
        return resized(self._outputs, self._inputs[-1])

    @torch.compiler.disable  # traced, the order of the backwards is lost
    def local_loss(
        self,
        plain_loss: Callable[..., Losses],
        inputs: Tensor,
        targets: Any,
        **kwargs: Any,
    ) -> Losses:
        """Losses of a training step, see :meth:`LocalLearner.run`.

        Args:
            plain_loss (Callable): The plain model's own.
            inputs (Tensor): Images, (N, C, H, W).
            targets (Any): Their targets.
            **kwargs (Any): More of what the plain loss is given.
        """
        check_lent(self)
        if self.training:
            check_num_images(self.local_aux, len(inputs))
        plain = partial(plain_loss, inputs, targets, **kwargs)
        if self.learner.by_chunks:
            plain = partial(self.image_wise, inputs, targets)
        trained = Trained(
            self,
            self.local_backbone,
            self.ownership.owned,
            self.local_aux,
            targets,
            other_forwards(self),
        )
        with self.head_changes.followed(self), self.step_context(targets):
            return self.learner.run(trained, inputs, plain)

    def step_context(self, targets: Any) -> AbstractContextManager:
        """Context of each training step with these targets."""
        return nullcontext()

    def image_wise(self, images: Tensor, samples: Any) -> ImageWise:
        """The main losses of images (N, C, H, W), some at a time."""
        raise NotImplementedError

    def check_image_wise(self) -> None:
        """Refuse ``local_learning.chunk`` where it would not be exact."""
        raise ValueError(
            f'local_learning.chunk={self.options.chunk}: '
            f'{type(self).__name__} has no image-wise loss; it is worth '
            'while where head or tail work at high resolution, in detection '
            'and super-resolution: leave chunk out'
        )

    def train_step(self, data: Any, optim_wrapper: Any) -> Dict[str, Tensor]:
        """As upstream's, after :func:`check_optim_wrapper`."""
        check_optim_wrapper(self, optim_wrapper)
        return super().train_step(data, optim_wrapper)

    @property
    def cuts(self) -> List[str]:
        """list[str]: Names of the units that are cut after."""
        units = self.anatomy.units
        return [units[stop - 1].name for _, stop in self.ranges[:-1]]
