# Copyright (c) mmfba authors.
"""What may be called FBA."""

import re

EXCEPTIONS = {
    r'fba-(s2-)?plain-': "DGL's networks: rows of table 4 that are not FBA",
}
"""Configs in the folders of FBA that are something else, and why."""
FEW = r'(fba|fpn)-(s\d-)?k[48]_retinanet'
"""Local FPNs of few modules: their levels begin at the end of stage 2, so that
those modules alone that end behind it have a level to read."""


def breaks_the_rule(config, parts):
    """Why a row or config may not be called FBA; '' if it may.

    FBA has an SLM, and reads the bank in at least half of its local modules.

    Args:
        config (str): Path of the config.
        parts (dict): What it is made of, see
            :func:`mmfba.models.describe.made_of`.
    """
    if any(re.search(pattern, config) for pattern in EXCEPTIONS):
        return ''
    if parts['slm'] in ('none', '-'):
        return f'{config}: no SLM'
    found = re.search(r'(\d+) of (\d+) modules', parts['bank'])
    reading, count = map(int, found.groups()) if found else (0, 1)
    if reading and re.search(FEW, config):
        return ''
    return '' if 2 * reading >= count else f'{config}: bank {parts["bank"]}'
