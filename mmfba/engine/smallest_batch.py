# Copyright (c) mmfba authors.
from mmengine.dataset import DefaultSampler
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
)

# They come to an end after as many images as their length says.
FINITE = (DefaultSampler, RandomSampler, SequentialSampler)


def smallest_batch(loader: DataLoader) -> int:
    """Images of the smallest batch that a data loader is known to give: what
    is left at the end of an epoch, or else the batch size."""
    batches = loader.batch_sampler
    size = getattr(batches, 'batch_size', None) or 1
    known = type(batches) is BatchSampler
    if not known or batches.drop_last or type(batches.sampler) not in FINITE:
        return size
    return len(batches.sampler) % size or size
