# Copyright (c) mmfba authors.
import numpy as np
import pytest
from matplotlib.image import imsave

from mmfba.analysis.detections import draw

SIDE = 128
CLOSE = [
    ('3 0.91', [40, 40, 30, 40]),
    ('9 0.51', [41, 41, 30, 40]),
    ('3 0.74', [42, 43, 30, 40]),
    ('1 0.60', [0, 0, 10, 20]),
    ('7 0.60', [100, 110, 27, 17]),
]


@pytest.mark.parametrize('label', ['truth', 'BP'])
def test_names_lie_on_no_other_and_inside(tmp_path, label):
    file = str(tmp_path / 'image.png')
    imsave(file, np.zeros((SIDE, SIDE, 3)))
    figure = draw([file, file], {label: [CLOSE, []]})
    figure.savefig(tmp_path / 'out.png')
    axes, empty = figure.axes
    assert axes.get_ylabel() == label and not empty.texts
    assert [text.get_text() for text in axes.texts] == [x for x, _ in CLOSE]
    boxes = [text.get_window_extent() for text in axes.texts]
    for box in boxes:
        assert not any(box.overlaps(x) for x in boxes if x is not box)
        assert all(axes.bbox.contains(*x) for x in box.corners())
