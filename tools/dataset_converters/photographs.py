# Copyright (c) mmfba authors.
"""Write a super-resolution set in DIV2K's layout from installed photographs.

The photographs come with scikit-image, scikit-learn, matplotlib and, where it
is installed, the Debian package mate-backgrounds. No download is needed. For
training, configs made for DIV2K need another ``data_root`` alone.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _write_once import write_once
from PIL import Image

VERSION = 1  # raise it when the same settings give other images
SOURCES = {  # folder, from a package's name or the root, and photographs
    'skimage': (
        'skimage/data',
        'astronaut.png chelsea.png coffee.png rocket.jpg motorcycle_left.png '
        'motorcycle_right.png hubble_deep_field.jpg',
    ),
    'sklearn': ('sklearn/datasets/images', 'china.jpg flower.jpg'),
    'matplotlib': ('matplotlib/mpl-data/sample_data', 'grace_hopper.jpg'),
    'mate': (
        '/usr/share/backgrounds/mate/nature',
        'Aqua.jpg Blinds.jpg Dune.jpg FreshFlower.jpg Garden.jpg '
        'GreenMeadow.jpg LadyBird.jpg RainDrops.jpg Storm.jpg TwoWings.jpg '
        'Wood.jpg YellowFlower.jpg',
    ),
}
# of the sources that are always there, so that numbers can be compared
VALIDATION = ('astronaut', 'chelsea', 'coffee', 'flower')
SCALE = 2
TILE = 600  # pixels at most; DIV2K's sub-images have 480
MULTIPLE = 12  # sides that the scales 2, 3 and 4 divide
LARGE = 1200  # pixels; a longer photograph is cut down
FLAT = 45.0  # dB; a tile that bicubic restores so well teaches nothing


def find_photographs(sources=tuple(SOURCES)):
    """Finds the photographs of the given sources on this machine.

    Args:
        sources (Sequence[str]): Names out of ``SOURCES``. Defaults to all.

    Returns:
        dict[str, Path]: File by lower-case name, in a fixed order.

    Raises:
        ValueError: If a source is unknown.
        FileNotFoundError: If a photograph for validation, or every one for
            training, is missing.
    """
    found = {}
    for source in sources:
        if source not in SOURCES:
            raise ValueError(
                f'There is no source {source!r}; choose from '
                f'{", ".join(SOURCES)}.'
            )
        folder, names = SOURCES[source]
        package, _, below = folder.partition('/')
        # finds a package's folder without importing it
        spec = find_spec(package) if package else None
        if spec:
            folder = Path(spec.submodule_search_locations[0], below)
        paths = [Path(folder, name) for name in names.split()]
        found.update({p.stem.lower(): p for p in paths if p.is_file()})
    missing = [name for name in VALIDATION if name not in found]
    if missing or len(found) == len(VALIDATION):
        raise FileNotFoundError(
            f'No {", ".join(missing) or "photograph for training"} found in '
            f'{", ".join(sources)}; install scikit-image and scikit-learn '
            'and keep both in --sources.'
        )
    return found


def cut_tiles(image, longest=TILE):
    """Cuts an image into equal tiles side by side.

    Args:
        image (PIL.Image.Image): RGB image.
        longest (int | None): Longest side of a tile in pixels; None for one
            tile of the whole image. Defaults to 600.

    Yields:
        PIL.Image.Image: Tiles with sides that are multiples of 12; what is
        left over at the right and bottom is cut off.
    """
    nums = [-(-side // (longest or side)) for side in image.size]
    w, h = (np.array(image.size) // nums // MULTIPLE * MULTIPLE).tolist()
    for y, x in np.ndindex(nums[1], nums[0]):
        yield image.crop((x * w, y * h, x * w + w, y * h + h))


def degrade(image):
    """Scales an image down as DIV2K does, and up again.

    Pillow's bicubic filter antialiases and has MATLAB's kernel, unlike
    OpenCV's.

    Args:
        image (PIL.Image.Image): RGB image, sides a multiple of ``SCALE``.

    Returns:
        tuple[PIL.Image.Image, float]: The small image, and the PSNR in dB
        of the bicubic enlargement, RGB, ``SCALE`` pixels of border left out.
    """
    from skimage.metrics import peak_signal_noise_ratio  # slow to import

    w, h = image.size
    small = image.resize((w // SCALE, h // SCALE), Image.Resampling.BICUBIC)
    large = small.resize((w, h), Image.Resampling.BICUBIC)
    inner = np.s_[SCALE:-SCALE, SCALE:-SCALE]
    return small, peak_signal_noise_ratio(
        np.asarray(image)[inner], np.asarray(large)[inner]
    )


def make_photographs(out, sources=tuple(SOURCES)):
    """Writes the super-resolution set, unless it is already there.

    Args:
        out (Path | str): Folder of the data set.
        sources (Sequence[str]): Names out of ``SOURCES``; those that are not
            installed are left out. Defaults to all.

    Returns:
        tuple[dict, bool]: Numbers of photographs and tiles and the PSNR in
        dB of bicubic enlargement on the validation photographs, and whether
        the set was written now.

    Raises:
        ValueError: If a source is unknown.
        FileNotFoundError: If the photographs needed are not installed.
        FileExistsError: If ``out`` holds something else.
    """
    found = find_photographs(sources)

    def write(folder):
        train_hr = folder / 'DIV2K_train_HR_sub'
        train_lr = folder / f'DIV2K_train_LR_bicubic/X{SCALE}_sub'
        valid_hr = folder / 'DIV2K_valid_HR'
        valid_lr = folder / f'DIV2K_valid_LR_bicubic/X{SCALE}'
        for path in (train_hr, train_lr, valid_hr, valid_lr):
            path.mkdir(parents=True)
        lines, psnrs = [], {}
        for name, path in found.items():
            # by way of an array, which leaves colour profiles behind
            image = Image.fromarray(np.array(Image.open(path).convert('RGB')))
            if name in VALIDATION:
                (image,) = cut_tiles(image, None)
                small, psnrs[name] = degrade(image)
                image.save(valid_hr / f'{name}.png')
                small.save(valid_lr / f'{name}x{SCALE}.png')
                continue
            # the mean of 2x2 or 4x4 pixels has no JPEG artefacts left
            factors = (2, 4) if max(image.size) > LARGE else (1,)
            num = 0
            for factor in factors:
                for tile in cut_tiles(image.reduce(factor)):
                    small, psnr = degrade(tile)
                    if psnr > FLAT:
                        continue
                    num += 1
                    file = f'{name}_s{num:03d}.png'
                    tile.save(train_hr / file)
                    small.save(train_lr / file)
                    lines.append(f'{file} ({tile.height},{tile.width},3)')
        meta = folder / 'meta_info_DIV2K800sub_GT.txt'  # as configs name it
        meta.write_text('\n'.join(lines) + '\n')
        return dict(
            num_train_photographs=len(found) - len(psnrs),
            num_train_tiles=len(lines),
            num_val_photographs=len(psnrs),
            bicubic_psnr=float(np.mean(list(psnrs.values()))),
            bicubic_psnr_by_photograph=psnrs,
        )

    settings = dict(
        kind='photographs', version=VERSION, scale=SCALE, names=list(found)
    )
    return write_once(out, settings, write)


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', type=Path, default='data/photographs')
    parser.add_argument(
        '--sources', nargs='+', default=list(SOURCES), choices=SOURCES
    )
    args = parser.parse_args()
    summary, written = make_photographs(**vars(args))
    print(
        f'{args.out}: {"written" if written else "already there"}; '
        f'{summary["num_train_tiles"]} tiles of '
        f'{summary["num_train_photographs"]} photographs for training, '
        f'{summary["num_val_photographs"]} photographs for validation, '
        f'bicubic PSNR {summary["bicubic_psnr"]:.2f} dB'
    )


if __name__ == '__main__':
    main()
