# Copyright (c) mmfba authors.
"""The models of a folder's metafile.yml."""

import re
from statistics import fmean
from typing import Any, Dict, List, Tuple

import yaml

from .common import METRICS, ROOT
from .paper import comparison_results, config_key

DATASETS = {
    'cifar10': ('Image Classification', 'CIFAR-10'),
    'svhn': ('Image Classification', 'SVHN'),
    'stl10': ('Image Classification', 'STL-10'),
    'fashion-mnist': ('Image Classification', 'Fashion-MNIST'),
    'in1k': ('Image Classification', 'ImageNet-1k'),
    'coco': ('Object Detection', 'COCO'),
    'voc07': ('Object Detection', 'VOC2007'),
    'voc0712': ('Object Detection', 'VOC2007+2012'),
    'digit-scenes': ('Object Detection', 'digit scenes'),
    'div2k': ('Image Super-Resolution', 'DIV2K'),
    'photographs': ('Image Super-Resolution', 'photographs'),
}
"""Task and name of a dataset, by what a config's name ends with."""


def metafile(folder: str) -> str:
    """The metafile.yml of a folder, with all its configs.

    Each with the memory of a training step (GiB, as OpenMMLab's GB) and the
    epochs, where they are known, and with what its own training gave.

    Args:
        folder (str): Its name in configs/.
    """
    text = (ROOT / f'configs/{folder}/metafile.yml').read_text()
    meta = yaml.safe_load(text)
    (collection,) = meta['Collections']
    peaks, trained = _measured()
    meta['Models'] = [
        _model(f'{folder}/{config.stem}', collection['Name'], peaks, trained)
        for config in sorted((ROOT / 'configs' / folder).glob('*.py'))
    ]
    return yaml.safe_dump(meta, sort_keys=False, width=1000)


def _model(
    key: str,
    collection: str,
    peaks: Dict[str, int],
    trained: Dict[str, Dict[str, float]],
) -> Dict[str, Any]:
    name = key.split('/')[1]
    model = {
        'Name': name,
        'In Collection': collection,
        'Config': f'configs/{key}.py',
    }
    metadata: Dict[str, Any] = {}
    if key in peaks:
        metadata['Training Memory (GB)'] = round(peaks[key] / 2**30, 2)
    epochs = re.search(r'[-_](\d+)(e|x)_', name)
    if epochs:  # 1x is 12
        count = int(epochs[1])
        metadata['Epochs'] = count if epochs[2] == 'e' else 12 * count
    if metadata:
        model['Metadata'] = metadata
    if key in trained:
        task, dataset = DATASETS[name.rsplit('_', 1)[1]]
        model['Results'] = [
            dict(Task=task, Dataset=dataset, Metrics=trained[key])
        ]
    return model


def _measured() -> Tuple[Dict[str, int], Dict[str, Dict[str, float]]]:
    peaks, trained, seeds = {}, {}, {}
    for result in comparison_results().values():
        for row in result['rows']:
            if row['options']:
                continue
            key = config_key(row)
            peaks[key] = row['peak_bytes']
            runs = row.get('runs', ())
            if len(runs) >= max(1, seeds.get(key, 0)):
                trained[key], seeds[key] = _metrics(runs), len(runs)
    return peaks, trained


def _metrics(runs: List[Dict[str, Any]]) -> Dict[str, float]:
    return {
        METRICS[key][0]: round(fmean(run['metrics'][key] for run in runs), 4)
        for key in METRICS
        if key in runs[0]['metrics']
    }
