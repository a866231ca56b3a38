# Copyright (c) mmfba authors.
import re
from typing import Any, Dict

from mmengine.runner import LogProcessor

LOCAL = re.compile(r'aux\d+/(.+)')


def average_local_losses(
    processor: LogProcessor, outputs: Dict[str, Any]
) -> None:
    """Let the log show local losses as it shows the main loss.

    Log processors average what has the word "loss" in its name; local losses
    have not, or they would be summed. How the user's ``custom_cfg`` treats
    ``loss`` holds for them too, unless it names them.
    """
    named = {cfg['data_src'] for cfg in processor.custom_cfg}
    # What else is logged, as an accuracy, has the main head's name.
    local = filter(None, map(LOCAL.fullmatch, outputs))
    new = [m[0] for m in local if m[0] not in named and m[1] not in outputs]
    if not new:
        return
    as_loss = [
        cfg
        for cfg in processor.custom_cfg
        if cfg['data_src'] == 'loss' and 'log_name' not in cfg
    ]
    if not as_loss and processor.mean_pattern.search('loss'):
        as_loss = [dict(method_name='mean', window_size=processor.window_size)]
    processor.custom_cfg = [
        *processor.custom_cfg,
        *(dict(cfg, data_src=name) for cfg in as_loss for name in new),
    ]
