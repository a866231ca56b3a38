# Copyright (c) mmfba authors.
from pathlib import Path
from typing import Dict, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from mmdet.apis import inference_detector, init_detector
from pycocotools.coco import COCO

COLOR = {'truth': '#ffffff', 'found': '#ffd21f'}


def plot_detections(
    arms: Dict[str, Tuple[str, str]],
    ann_file: str,
    folder: str,
    path: str,
    num_images: int = 5,
    score_thr: float = 0.4,
) -> Figure:
    """Draw detections of several models beside the truth, a row for each.

    Args:
        arms (dict[str, tuple[str, str]]): Config and checkpoint by label.
        ann_file (str): COCO annotations; the first images are shown.
        folder (str): Folder of the images.
        path (str): The image file to write.
        num_images (int): Defaults to 5.
        score_thr (float): Detections below are left out. Defaults to 0.4.

    Returns:
        Figure: The figure.
    """
    coco = COCO(str(ann_file))
    ids = sorted(coco.imgs)[:num_images]
    files = [str(Path(folder) / coco.imgs[i]['file_name']) for i in ids]
    figure = Figure(
        figsize=(1.9 * num_images, 2 * len(arms) + 2), layout='constrained'
    )
    axes = figure.subplots(len(arms) + 1, num_images, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for column, (image_id, file) in enumerate(zip(ids, files)):
        axes[0, column].imshow(imread(file))
        for ann in coco.imgToAnns[image_id]:
            _draw(
                axes[0, column],
                ann['bbox'],
                COLOR['truth'],
                coco.cats[ann['category_id']]['name'],
            )
    axes[0, 0].set_ylabel('truth')
    for row, (label, (config, checkpoint)) in enumerate(arms.items(), 1):
        model = init_detector(config, checkpoint, device='cpu')
        names = model.dataset_meta['classes']
        for axis, file in zip(axes[row], files):
            axis.imshow(imread(file))
            found = inference_detector(model, file).pred_instances
            for box, score, index in zip(
                found.bboxes, found.scores, found.labels
            ):
                if score >= score_thr:
                    x1, y1, x2, y2 = box.tolist()
                    _draw(
                        axis,
                        (x1, y1, x2 - x1, y2 - y1),
                        COLOR['found'],
                        f'{names[index]} {score:.2f}',
                    )
        axes[row, 0].set_ylabel(label)
    figure.savefig(path, dpi=100)
    return figure


def _draw(axes: Axes, box: Tuple[float, ...], color: str, text: str) -> None:
    x, y, width, height = box
    axes.add_patch(
        Rectangle((x, y), width, height, fill=False, color=color, lw=1.2)
    )
    axes.text(
        x,
        y - 1,
        text,
        color='black',
        fontsize=6,
        clip_on=True,
        bbox=dict(facecolor=color, edgecolor='none', pad=0.5, alpha=0.8),
    )
