# Copyright (c) mmfba authors.
"""Write a detection set in COCO format from scikit-learn's digits.

Real handwritten digits (``sklearn.datasets.load_digits``, 8x8 pixels, ten
classes) are pasted at strongly varying scales on textured canvases, so that a
detector with a feature pyramid has something to do. No download is needed.
"""

import argparse
import json
import math
from pathlib import Path

import cv2
import numpy as np
from _write_once import write_once
from scipy.ndimage import affine_transform

VERSION = 3  # raise it when the same settings give other images
SIZE = 128  # side of the images in pixels
SEED = 0
SIDES = (14 / 128, 90 / 128)  # side of the 8x8 cell over the canvas' side
VISIBLE = 0.5  # alpha from which a pixel counts as stroke
MAX_OVERLAP = 0.1  # share of a box that others may cover
TRAIN_SHARE = 0.7  # of the digits, and of the height of the photographs


def split_digits():
    """Splits the digits between train and val, alike in every class.

    Returns:
        dict[str, np.ndarray]: For ``train`` and ``val`` the indices into
        ``load_digits()``; no digit is in both.
    """
    from sklearn.datasets import load_digits  # slow: not before it is needed
    from sklearn.model_selection import train_test_split

    target = load_digits().target
    options = dict(train_size=TRAIN_SHARE, stratify=target, random_state=SEED)
    train, val = train_test_split(np.arange(len(target)), **options)
    return dict(train=train, val=val)


def draw_canvas(rng, photographs):
    """Draws a textured canvas: photograph, gradient and noise, mixed.

    Args:
        rng (np.random.Generator): Source of randomness.
        photographs (list[np.ndarray]): (H, W, 3) uint8 each.

    Returns:
        np.ndarray: (SIZE, SIZE, 3) float32 in [0, 255].
    """
    photo = photographs[rng.integers(len(photographs))]
    side = rng.integers(48, min(photo.shape[:2]) + 1)
    y, x = (rng.integers(length - side + 1) for length in photo.shape[:2])
    crop = photo[y : y + side, x : x + side][:, :, rng.permutation(3)]
    crop = np.rot90(crop, rng.integers(4)).astype(np.float32)
    crop = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.3, 2.0))
    # four random corners make a gradient, a coarse grid makes clouds
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    clouds = rng.normal(0, 25, (9, 9, 3)).astype(np.float32)
    drawn = cv2.resize(corners, (SIZE, SIZE))
    drawn += cv2.resize(clouds, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    share = rng.uniform(0.3, 0.9)
    canvas = share * crop + (1 - share) * drawn
    canvas += rng.normal(0, rng.uniform(0, 6), canvas.shape)
    # darker, so that the strokes stand out
    return np.clip(0.5 * canvas, 0, 130).astype(np.float32)


def warp_digit(rng, digit, side):
    """Enlarges a digit smoothly, slightly turned, sheared and stretched.

    Args:
        rng (np.random.Generator): Source of randomness.
        digit (np.ndarray): (8, 8) in [0, 16].
        side (float): Side in pixels that the 8x8 cell gets.

    Returns:
        np.ndarray: (h, w) float32 alpha in [0, 1], cut to the strokes: each
        of its four edges has a pixel of at least ``VISIBLE``.
    """
    turn, shear, log = rng.uniform((-6, -0.1, -0.1), (6, 0.1, 0.1))
    forward = cv2.getRotationMatrix2D((0, 0), turn, side / 8)[:, :2]
    forward = forward @ [[math.exp(log), 0], [shear, math.exp(-log)]]
    backward = np.linalg.inv(forward)
    room = math.ceil(1.5 * side)
    digit = np.pad(digit / 16, 2)  # strokes may touch the 8x8 cell's edge
    offset = 5.5 - backward @ np.full(2, (room - 1) / 2)
    ink = affine_transform(
        digit, backward, offset, (room, room), mode='grid-constant'
    )
    # the spline alone would leave the strokes blurred
    alpha = np.clip((ink - 0.3) / 0.4, 0, 1).astype(np.float32)
    ys, xs = np.nonzero(alpha >= VISIBLE)
    return alpha[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def find_place(rng, shape, taken):
    """Looks for a place that is hardly taken, and takes it.

    Args:
        rng (np.random.Generator): Source of randomness.
        shape (tuple[int, int]): Height and width to place.
        taken (np.ndarray): (S, S) bool; changed where a place is found.

    Returns:
        list[int] | None: ``[x, y, w, h]`` in whole pixels, or None.
    """
    h, w = shape
    if max(h, w) > len(taken):
        return None
    for _ in range(20):
        y, x = (int(rng.integers(len(taken) - s + 1)) for s in shape)
        if taken[y : y + h, x : x + w].mean() <= MAX_OVERLAP:
            taken[y : y + h, x : x + w] = True
            return [x, y, w, h]
    return None


def compose_scene(rng, canvas, digits):
    """Pastes two to six of the given digits on a canvas.

    Args:
        rng (np.random.Generator): Source of randomness.
        canvas (np.ndarray): (S, S, 3) float32 in [0, 255]; left as it is.
        digits (np.ndarray): (N, 8, 8) in [0, 16], to choose from.

    Returns:
        tuple[np.ndarray, list[tuple[int, list[int]]]]: The (S, S, 3) uint8
        scene, and of each digit its index into ``digits`` and its tight box
        ``[x, y, w, h]`` in whole pixels.
    """
    canvas = canvas.copy()
    taken = np.zeros(canvas.shape[:2], bool)
    sides = np.exp(rng.uniform(*np.log(SIDES), rng.integers(2, 7)))
    found = []
    # large ones first, while there is room
    for side in sorted(len(canvas) * sides, reverse=True):
        index, box = int(rng.integers(len(digits))), None
        while box is None:
            alpha = warp_digit(rng, digits[index], side)
            box = find_place(rng, alpha.shape, taken)
            side *= 0.8  # for another try, if there was no room
        x, y, w, h = box
        under = canvas[y : y + h, x : x + w]
        colour = np.clip(rng.uniform(190, 245) + rng.normal(0, 10, 3), 0, 255)
        opacity = alpha[..., None] * rng.uniform(0.9, 1)
        under += opacity * (colour - under)
        found.append((index, box))
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8), found


def write_split(folder, split, num):
    """Writes the images and the annotation file of one split.

    Args:
        folder (Path): The data set's folder.
        split (str): ``train`` or ``val``.
        num (int): Number of images.

    Returns:
        int: Number of annotations written.
    """
    from sklearn.datasets import load_digits, load_sample_images

    digits, indices = load_digits(), split_digits()[split]
    cut = int(TRAIN_SHARE * 427)  # the height of both photographs
    part = slice(cut) if split == 'train' else slice(cut, None)
    photographs = [image[part] for image in load_sample_images().images]
    images, annotations = [], []
    for name in (split, 'annotations'):
        (folder / name).mkdir(exist_ok=True)
    for i in range(num):
        # a seed of its own: more images do not change the first ones
        rng = np.random.default_rng([SEED, split == 'val', i])
        canvas = draw_canvas(rng, photographs)
        scene, found = compose_scene(rng, canvas, digits.images[indices])
        name = f'{i:06d}.jpg'  # loads faster than PNG; quality 95 is default
        cv2.imwrite(f'{folder}/{split}/{name}', scene)
        images.append(dict(id=i, file_name=name, width=SIZE, height=SIZE))
        for index, box in found:
            digit = int(indices[index])
            note = dict(id=len(annotations) + 1, image_id=i, digit_id=digit)
            note.update(category_id=int(digits.target[digit]), bbox=box)
            annotations.append(note | dict(area=box[2] * box[3], iscrowd=0))
    content = dict(images=images, annotations=annotations)
    content['categories'] = [dict(id=i, name=str(i)) for i in range(10)]
    (folder / f'annotations/{split}.json').write_text(json.dumps(content))
    return len(annotations)


def make_digit_scenes(out, num_train=2000, num_val=400):
    """Writes the detection set, unless it is already there.

    Args:
        out (Path | str): Folder of the data set.
        num_train (int): Number of training images. Defaults to 2000.
        num_val (int): Number of validation images. Defaults to 400.

    Returns:
        tuple[dict, bool]: Number of digits by split, and whether the set was
        written now.

    Raises:
        ValueError: If a number is too small.
        FileExistsError: If ``out`` holds something else.
    """
    if min(num_train, num_val) < 1:
        raise ValueError(
            f'Give num_train and num_val >= 1; got {num_train} and {num_val}.'
        )
    settings = dict(kind='digit_scenes', version=VERSION, size=SIZE, seed=SEED)
    settings.update(num_train=num_train, num_val=num_val)

    def write(folder):
        nums = dict(train=num_train, val=num_val)
        return {s: write_split(folder, s, nums[s]) for s in nums}

    return write_once(out, settings, write)


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', type=Path, default='data/digit_scenes')
    parser.add_argument('--num-train', type=int, default=2000)
    parser.add_argument('--num-val', type=int, default=400)
    args = parser.parse_args()
    counts, written = make_digit_scenes(**vars(args))
    print(
        f'{args.out}: {"written" if written else "already there"}, '
        f'{counts["train"]} digits for training, {counts["val"]} to validate'
    )


if __name__ == '__main__':
    main()
