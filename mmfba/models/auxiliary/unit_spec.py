# Copyright (c) mmfba authors.
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from mmengine.registry import Registry
from torch import nn

from mmfba.local import FeatureSpec

from ..anchor_targets import AnchorTargets
from ..blocks import ImageTail
from ..neck_probe import Shape
from ..point_targets import PointTargets


@dataclass(frozen=True)
class MainModel:
    """What auxiliary networks may look up in the model that they train.

    Args:
        backbone (nn.Module): The backbone, or the generator of an editor.
        outputs (tuple[str]): The unit that each of its outputs is of.
        outputs_read (tuple[str, optional]): The same; None where neck or tail
            does not read the output.
        blocks (Mapping[str, nn.Module]): The units that are one module, by
            name.
        make_stage (Callable): Builds blocks of an SLM, see
            :func:`mmfba.models.blocks.stage_maker`.
        registry (Registry): Builds neck and head of the task's library.
        neck (dict | list[dict], optional): Config of the neck.
        head (dict): Config of the task head.
        head_module (nn.Module): The task head itself, to be shared; in
            super-resolution the pixel loss.
        data_preprocessor (nn.Module, optional): What normalises the images.
            Defaults to None.
        head_inputs (tuple[Shape], optional): Shapes of what the head is
            given, for two images; None where the neck cannot run without
            data. Defaults to None.
        anchor_targets (AnchorTargets, optional): The targets of the head's
            anchors; None where it finds them itself. Defaults to None.
        point_targets (PointTargets, optional): Those of the points of dense
            heads. Defaults to None.
        neck_module (nn.Module, optional): A detector's neck itself. Defaults
            to None.
        tail (ImageTail, optional): How an image is restored; None where none
            is. Defaults to None.
    """

    backbone: nn.Module
    outputs: Tuple[str, ...]
    outputs_read: Tuple[Optional[str], ...]
    blocks: Mapping[str, nn.Module]
    make_stage: Callable[..., nn.Module]
    registry: Registry
    neck: Union[Dict[str, Any], List[Dict[str, Any]], None]
    head: Dict[str, Any]
    head_module: nn.Module
    data_preprocessor: Optional[nn.Module] = None
    head_inputs: Optional[Tuple[Shape, ...]] = None
    anchor_targets: Optional[AnchorTargets] = None
    point_targets: Optional[PointTargets] = None
    neck_module: Optional[nn.Module] = None
    tail: Optional[ImageTail] = None


@dataclass(frozen=True)
class UnitSpec:
    """The cut that an auxiliary network is built for.

    Args:
        index (int): Index of the local module, from 0.
        num_modules (int): K.
        cut (FeatureSpec): The feature at the cut.
        features (Mapping[str, FeatureSpec]): All features of the backbone.
        readable (tuple[str]): Bank entries that are filled when the
            auxiliary network runs.
        main (MainModel): The model that is trained.
        checkpoint (bool): Whether blocks are to be run again in the backward
            instead of keeping what they computed. Defaults to False.
    """

    index: int
    num_modules: int
    cut: FeatureSpec
    features: Mapping[str, FeatureSpec]
    readable: Tuple[str, ...]
    main: MainModel
    checkpoint: bool = False

    @property
    def stage_ends(self) -> Dict[int, FeatureSpec]:
        """dict[int, FeatureSpec]: The last feature of each stage."""
        return {f.stage: f for f in self.features.values() if f.stage > 0}

    @property
    def remaining_stages(self) -> Tuple[int, ...]:
        """tuple[int]: Stages that are not complete at the cut."""
        ends = self.stage_ends
        done = self.cut.stage
        if done > 0 and ends[done].name != self.cut.name:
            done -= 1
        return tuple(stage for stage in ends if stage > done)
