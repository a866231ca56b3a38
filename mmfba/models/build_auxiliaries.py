# Copyright (c) mmfba authors.
from typing import Dict, Sequence

from mmengine.model import ModuleList

from mmfba.local import FeatureSpec
from mmfba.local.random_state import forked_random_state
from mmfba.registry import MODELS

from .auxiliary import MainModel, UnitSpec
from .options import LocalLearningOptions
from .taps import readable


class AuxiliaryNetworks(ModuleList):
    """The auxiliary networks; their initialization leaves no trace in the
    random state."""

    def init_weights(self) -> None:
        with forked_random_state():
            super().init_weights()


def build_auxiliaries(
    options: LocalLearningOptions,
    main: MainModel,
    features: Dict[str, FeatureSpec],
    cuts: Sequence[str],
    taps: Sequence[str],
) -> AuxiliaryNetworks:
    """Build the auxiliary networks of a model, one for each cut.

    Args:
        options (LocalLearningOptions): The model's options.
        main (MainModel): What they may look up.
        features (dict[str, FeatureSpec]): All features, in order.
        cuts (Sequence[str]): The units that are cut after.
        taps (Sequence[str]): What goes into the bank.
    """
    names, timing = list(features), options.timing
    checkpoint = options.checkpointed(len(cuts) + 1)
    specs = [
        UnitSpec(
            index=i,
            num_modules=len(cuts) + 1,
            cut=features[cut],
            features=features,
            readable=readable(taps, cut, names, timing),
            main=main,
            checkpoint=i in checkpoint,
        )
        for i, cut in enumerate(cuts)
    ]
    # Forked, so that the main weights, and all that is drawn later, are
    # those of plain training with the same seed.
    with forked_random_state():
        return AuxiliaryNetworks(
            [
                MODELS.build(options.auxiliary, default_args=dict(spec=spec))
                for spec in specs
            ]
        )
