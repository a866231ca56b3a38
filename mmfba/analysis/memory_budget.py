# Copyright (c) mmfba authors.
import re
from typing import Optional

import torch


def read_budget(text: Optional[str]) -> int:
    """Bytes that training may use.

    Args:
        text (str, optional): A number with K, M, G or T, which are powers of
            1024 as GPUs are sold, G if there is none; None for what is free
            on the GPU.

    Raises:
        ValueError: If it is no size, or there is no GPU to ask.
    """
    if text is None:
        if not torch.cuda.is_available():
            raise ValueError(
                'there is no GPU here whose memory could be read: say how '
                'much there is, for example --budget 8GiB'
            )
        return torch.cuda.mem_get_info()[0]
    match = re.fullmatch(r'(\d*\.?\d+)\s*([KMGT]?)I?B?', text.strip().upper())
    size = match and float(match[1]) * 1024 ** '_KMGT'.index(match[2] or 'G')
    if not size:
        raise ValueError(f'--budget {text}: no size; write it as 8GiB or 500M')
    return int(size)
