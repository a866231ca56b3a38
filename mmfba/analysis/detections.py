# Copyright (c) mmfba authors.
from pathlib import Path
from typing import Dict, List, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from mmdet.apis import inference_detector, init_detector
from pycocotools.coco import COCO
from torch import nn

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
    figure = Figure((1.9 * len(files), 2 * len(rows)), layout='constrained')
    axes = figure.subplots(len(rows), len(files), squeeze=False)
    for line, (label, row) in zip(axes, rows.items()):
        line[0].set_ylabel(label)
        for axis, file, boxes in zip(line, files, row):
            axis.set(xticks=[], yticks=[])
            axis.imshow(imread(file))
            color = '#ffffff' if label == 'truth' else '#ffd21f'
            for text, box in boxes:
                _draw(axis, box, color, text)
    figure.savefig(path, dpi=100)


def _detect(model: nn.Module, file: str) -> List[Tuple[str, List[float]]]:
    found = inference_detector(model, file).pred_instances
    boxes = found[found.scores >= SCORE]
    corners = boxes.bboxes.clone()
    corners[:, 2:] -= corners[:, :2]
    names = [model.dataset_meta['classes'][i] for i in boxes.labels]
    return [
        (f'{name} {score:.2f}', box)
        for name, score, box in zip(names, boxes.scores, corners.tolist())
    ]


def _draw(axes: Axes, box: List[float], color: str, text: str) -> None:
    x, y, width, height = box
    axes.add_patch(
        Rectangle((x, y), width, height, fill=False, color=color, lw=1.2)
    )
    axes.text(
        x,
        y - 1,
        text,
        fontsize=6,
        clip_on=True,
        bbox=dict(facecolor=color, edgecolor='none', pad=0.5, alpha=0.8),
    )
