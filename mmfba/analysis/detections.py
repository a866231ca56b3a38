# Copyright (c) mmfba authors.
from itertools import product
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from torch import nn

Boxes = List[Tuple[str, List[float]]]
"""Name of each box, and its left, top, width and height."""

NUM_IMAGES = 5
SCORE = 0.4
"""Detections below are left out."""


def plot_detections(
    arms: Dict[str, Tuple[str, str]], ann_file: str, folder: str, path: str
) -> None:
    """Draw detections of several models beside the truth, a row for each.

    Args:
        arms (dict[str, tuple[str, str]]): Config and checkpoint by label.
        ann_file (str): COCO annotations; the first images are shown.
        folder (str): Folder of the images.
        path (str): The image file to write.
    """
    from mmdet.apis import init_detector
    from pycocotools.coco import COCO

    coco = COCO(str(ann_file))
    ids = sorted(coco.imgs)[:NUM_IMAGES]
    files = [str(Path(folder) / coco.imgs[i]['file_name']) for i in ids]
    rows = {
        'truth': [
            [
                (coco.cats[ann['category_id']]['name'], ann['bbox'])
                for ann in coco.imgToAnns[i]
            ]
            for i in ids
        ]
    }
    for label, (config, checkpoint) in arms.items():
        model = init_detector(config, checkpoint, device='cpu')
        rows[label] = [_detect(model, file) for file in files]
    draw(files, rows).savefig(path, dpi=100)


def draw(files: Sequence[str], rows: Dict[str, List[Boxes]]) -> Figure:
    """Draw boxes on images, a row of images for each label.

    Args:
        files (Sequence[str]): The images.
        rows (dict[str, list]): Boxes of each image, see :data:`Boxes`. Those
            of the row called ``'truth'`` are white.
    """
    figure = Figure((1.9 * len(files), 2 * len(rows)), layout='constrained')
    grid = figure.subplots(len(rows), len(files), squeeze=False)
    for line, label in zip(grid, rows):
        line[0].set_ylabel(label)
        for axes, file in zip(line, files):
            axes.set(xticks=[], yticks=[])
            axes.imshow(imread(file))
    figure.draw_without_rendering()  # names are placed by their size
    for line, (label, row) in zip(grid, rows.items()):
        for axes, boxes in zip(line, row):
            _draw(axes, boxes, '#ffffff' if label == 'truth' else '#ffd21f')
    return figure


def _detect(model: nn.Module, file: str) -> Boxes:
    from mmdet.apis import inference_detector

    found = inference_detector(model, file).pred_instances
    boxes = found[found.scores >= SCORE]
    corners = boxes.bboxes.clone()
    corners[:, 2:] -= corners[:, :2]
    names = [model.dataset_meta['classes'][i] for i in boxes.labels]
    return [
        (f'{name} {score:.2f}', box)
        for name, score, box in zip(names, boxes.scores, corners.tolist())
    ]


def _draw(axes: Axes, boxes: Boxes, color: str) -> None:
    """Boxes with their names, none of which lies on another."""
    taken: List[Bbox] = []
    for name, (x, y, width, height) in boxes:
        axes.add_patch(
            Rectangle((x, y), width, height, fill=False, color=color, lw=1.2)
        )
        style = dict(facecolor=color, edgecolor='none', pad=0.5, alpha=0.8)
        text = axes.text(x, y, name, fontsize=6, clip_on=True, bbox=style)
        rows = (y, 'bottom'), (y + height, 'top'), (y, 'top')
        columns = (x, 'left'), (x + width, 'right')
        for (top, va), (left, ha) in product(rows, columns):
            text.set(position=(left, top), va=va, ha=ha)
            place = text.get_window_extent()
            seen = all(axes.bbox.contains(*x) for x in place.corners())
            place = place.padded(1)
            if seen and not any(map(place.overlaps, taken)):
                break
        taken.append(place)
