# Copyright (c) mmfba authors.
from .local_distributed_data_parallel import LocalDistributedDataParallel
from .local_fully_sharded_data_parallel import LocalFullyShardedDataParallel

__all__ = ['LocalDistributedDataParallel', 'LocalFullyShardedDataParallel']
