# Copyright (c) mmfba authors.
import math

import pytest
from rich.console import Console

from mmfba.analysis.step_profile import StepProfile
from mmfba.analysis.way import Way
from mmfba.analysis.ways_report import GIB, verdict, ways_table

NEW = {'model.type': 'mmfba.LocalRetinaNet'}


def ways(*peaks):
    made = []
    for number, peak in enumerate(peaks, 1):
        profile = StepProfile(peak * GIB, 1, 1, 0, number, [], [], {})
        made.append(Way(f'way {number}', 'yes', NEW, profile))
    made[0].changes, made[0].stock = {}, True
    return made


def printed(ways, budget, best=None):
    table, notes = ways_table(ways, best, budget * GIB)
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return capture.get(), notes


def test_figures_are_ratios_to_plain_training():
    out, notes = printed(ways(4, 2), 3)
    assert out.splitlines()[1].split() == (
        '1 way 1 4.00 no 1.00 1.00 yes'.split()
    )
    assert out.splitlines()[2].split() == (
        '2 way 2 2.00 yes 1.00 2.00 yes'.split()
    )
    assert 'measured' not in out and len(notes) == 1


def test_what_was_measured_has_columns_and_says_what_fits():
    found = ways(4, 2, 1)
    found[1].measured = (3.5 * GIB, 0.25)
    found[2].measured = (math.inf, math.inf)
    out, notes = printed(found, 3, found[1])
    assert out.splitlines()[2].split() == (
        '> 2 way 2 2.00 3.50 0.250 no 1.00 2.00 yes'.split()
    )
    assert 'out of memory' in out.splitlines()[3]
    assert any('PyTorch' in note for note in notes)


def test_unknown_figures_are_question_marks():
    found = ways(4, 2)
    found[0].profile = found[1].profile = None
    out, notes = printed(found, 3)
    assert out.splitlines()[1].count('?') == 4 and not notes


@pytest.mark.parametrize(
    'best, words',
    [
        (0, 'It fits into 3.00 GiB as it is: train the config you have. mmf'),
        (1, 'Recommended: 2, way 2. mmfba is not needed for 3.00 GiB.'),
        (2, 'Recommended: 3, way 3. Local learning is not needed for 3.00'),
        (3, 'Recommended: 4, local learning. No way with exact gradients'),
        (None, 'Nothing fits into 3.00 GiB: the least is 4 with 1.00 GiB.'),
    ],
)
def test_verdict(best, words):
    found = ways(4, 3, 2, 1)
    found[1].changes, found[1].stock = {'model.backbone.with_cp': True}, True
    found[3].exact = 'no'
    found_best = None if best is None else found[best]
    assert verdict(found, found_best, 3 * GIB).startswith(words)
