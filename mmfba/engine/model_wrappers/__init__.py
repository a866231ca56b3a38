# Copyright (c) mmfba authors.
from .local_distributed_data_parallel import LocalDistributedDataParallel

__all__ = ['LocalDistributedDataParallel']
