# Copyright (c) mmfba authors.
import pytest
from local_models import build

from mmfba.models.describe import describe, made_of, method_name


def _neck(**options):
    return dict(auxiliary=dict(neck=options))


BY_STAGE = dict(num_modules=4, partition='stage')
SLM_FPN = _neck(type='mmfba.SLMFPN', mode='stage_tail')
NO_BLOCKS = dict(mode='stage_tail', blocks_per_stage=0)


@pytest.mark.parametrize(
    'task, options, name, parts',
    [
        ('classification', dict(), 'back-propagation', '- | - | -'),
        (
            'classification',
            dict(num_modules=4),
            'FBA: SLM and bank',
            'later_stages x0.5 | 2 entries, 2 of 3 modules | copy',
        ),
        (
            'classification',
            dict(num_modules=4, **_neck(fusion='none', channel_ratio=0.5)),
            'SLM only',
            'later_stages x0.5 | none | copy',
        ),
        (
            'classification',
            dict(num_modules=4, **_neck(**NO_BLOCKS)),
            'bank only',
            'none | 2 entries, 2 of 3 modules | copy',
        ),
        (
            'classification',
            dict(num_modules=4, **_neck(fusion='none', **NO_BLOCKS)),
            'neither SLM nor bank',
            'none | none | copy',
        ),
        (
            'classification',
            dict(num_modules=3, auxiliary=dict(type='mmfba.GreedyAuxiliary')),
            'GreedyAuxiliary',
            'none | none | own',
        ),
        (
            'detection',
            dict(num_modules=4),
            'local FPN',
            'none | none | slim, 2 convs',
        ),
        (
            'detection',
            BY_STAGE,
            'local FPN, bank',
            'none | 1 entry, 1 of 3 modules | slim, 2 convs',
        ),
        (
            'detection',
            dict(**BY_STAGE, **SLM_FPN),
            'FBA: SLM, and bank in 1 of 3 modules',
            'stage_tail x0.5 | 1 entry, 1 of 3 modules | slim, 2 convs',
        ),
        (
            'detection',
            dict(**BY_STAGE, timing='two_pass', **SLM_FPN),
            'FBA: SLM and bank',
            'stage_tail x0.5 | 3 entries, 2 of 3 modules | slim, 2 convs',
        ),
        (
            'detection',  # the image is read for its size
            dict(num_modules=4, **_neck(type='mmfba.DGLFPN')),
            'DGLFPN',
            'none | none | slim, 2 convs',
        ),
        (
            'yolov1',
            BY_STAGE,
            'FBA: SLM and bank',
            'stage_chain x0.5 | 2 entries, 2 of 3 modules | slim, 1 conv',
        ),
        (
            'super-resolution',
            dict(num_modules=3, taps=['input']),
            'FBA: SLM and bank',
            'stage_tail x1.0 | 1 entry, 2 of 2 modules | slim',
        ),
        (
            'super-resolution',
            dict(
                num_modules=3,
                auxiliary=dict(
                    neck=dict(blocks_per_stage=2), head=dict(mode='shared')
                ),
            ),
            'FBA: SLM and bank',
            'stage_tail x1.0, 2 blocks a stage | 1 entry, 2 of 2 modules | '
            'shared',
        ),
    ],
)
def test_methods_are_named_by_what_they_have(task, options, name, parts):
    model = build(task, **options)
    assert ' | '.join(made_of(model).values()) == parts
    if options:
        assert method_name(model) == name
        assert method_name(build(task, num_modules=1)) == 'back-propagation'


def test_rows_of_modules_have_their_parts():
    rows = describe(build('yolov1', num_modules=3))
    assert [row['slm'] for row in rows] == ['stage_chain x0.5'] * 2 + ['-']
    assert [row['head'] for row in rows] == ['slim, 1 conv'] * 2 + ['main']
