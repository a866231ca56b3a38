# Copyright (c) mmfba authors.
from mmengine.model import ModuleList

from mmfba.local.random_state import forked_random_state


class AuxiliaryNetworks(ModuleList):
    """The auxiliary networks; their initialization draws from a copy of the
    random state."""

    def init_weights(self) -> None:
        """Initialize without a trace in the global random state."""
        with forked_random_state():
            super().init_weights()
