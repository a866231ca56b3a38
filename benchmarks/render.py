# Copyright (c) mmfba authors.
"""Write tables and plots of the README files and docs/ from results/."""

import json
import re
import statistics
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

import yaml

from mmfba.analysis.comparison import ORDER_NOTE, fba_row, order
from mmfba.analysis.plots import plot_accuracy, plot_pareto
from mmfba.analysis.similarity_plot import plot_similarity, same_unit

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    'README.md',
    'configs/bp/README.md',
    'configs/fba/README.md',
    'configs/fba_paper/README.md',
    'docs/memory.md',
    'docs/understanding.md',
)
RESULTS = ROOT / 'benchmarks/results'
METRICS = {
    'accuracy/top1': ('top-1', 2, ' %'),
    'photographs/PSNR': ('PSNR', 2, ' dB'),
    'coco/bbox_mAP': ('mAP', 3, ''),
    'coco/bbox_mAP_50': ('AP50', 3, ''),
}
"""Name, decimals and unit of each main metric."""


def main() -> None:
    """Replace the tables of the pages."""
    for page in PAGES:
        path = ROOT / page
        path.write_text(render(path.read_text()))


def render(text: str) -> str:
    """Write what stands between ``<!-- KIND NAME: ARMS -->`` and ``<!-- /KIND
    -->`` anew; name and arms are not given where there is no choice."""
    mark = r'(<!-- (\w+)(?: ([\w.-]+))?(?:: ([^>]*))? -->).*?(<!-- /\2 -->)'

    def block(match: 're.Match[str]') -> str:
        start, kind, name, arms, end = match.groups()
        try:
            table = TABLES[kind](name, arms.split() if arms else None)
        except FileNotFoundError:
            table = 'Not run.'
        return f'{start}\n\n{table}\n\n{end}'

    return re.sub(mark, block, text, flags=re.S)


def demo_table(*_) -> str:
    """The demo's comparison of BP and FBA."""
    result = json.loads((RESULTS / 'demo.json').read_text())
    rows = [
        '| RetinaNet-R18, digit scenes | mAP | AP50 | peak memory of a step | '
        'of it static | the rest | FLOPs | s / iter |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    flops = result['rows'][0]['gflops']
    for row in result['rows']:
        rows.append(
            f'| {row["arm"]} | {row["map"]:.3f} | {row["ap50"]:.3f} | '
            f'{row["peak_mib"]:.0f} MiB | {row["static_mib"]:.0f} MiB | '
            f'{row["activation_mib"]:.0f} MiB '
            f'({row["activation_ratio"]:.0%}) | '
            f'{row["gflops"] / flops:.2f}x | '
            f'{row["seconds_per_iter"]:.2f} |'
        )
    return '\n'.join(rows) + (
        '\n\nOne run of each arm with the same initial weights, seed and '
        'schedule; a narrow network on small images. Static: weights, '
        'optimizer state, batch.\n' + origin(result)
    )


def results_table(*_) -> str:
    """Accuracy of all other comparisons."""
    rows = ['| config | measured | s / iter |', '| --- | --- | --- |']
    origins = []
    for path in sorted(RESULTS.glob('*.json')):
        result = json.loads(path.read_text())
        if path.stem == 'demo':
            rows += [
                f'| {link(row["config"])} | mAP {row["map"]:.3f} | '
                f'{row["seconds_per_iter"]:.2f} |'
                for row in result['rows']
            ]
            continue
        rows += [
            f'| {link(row["config"])} | {measured(row["metrics"])} | '
            f'{row["seconds_per_iter"]:.2f} |'
            for row in result['rows']
        ]
        origins.append(f'{path.stem}: {origin(result)}')
    return '\n'.join(rows + [''] + origins)


def memory_table(name: str, arms: Optional[List[str]]) -> str:
    """Arms of one run of tools/analysis_tools/benchmark_memory.py."""
    result = json.loads((RESULTS / f'memory/{name}.json').read_text())
    rows = [
        '| arm | K | peak, GiB | peak / BP | FLOPs / BP | time / BP | '
        'cuts after |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for row in result['rows']:
        if arms and row['arm'] not in arms:
            continue
        time = row['step_time_ratio']
        ghost = '' if row['exact_bn'] else ' (ghost BN)'
        rows.append(
            f'| {row["arm"]}{ghost} | {row["num_modules"]} | '
            f'{row["peak_bytes"] / 2**30:.2f} | {row["peak_ratio"]:.2f} | '
            f'{row["flops_ratio"]:.2f} | '
            f'{"not run" if time is None else f"{time:.2f}"} | '
            f'{", ".join(row["cuts"]) if row["num_modules"] < 9 else "..."} |'
        )
    return '\n'.join([*rows, '', origin(result)])


def pareto_plot(name: str, arms: Optional[List[str]]) -> str:
    """The same as a picture, for docs/memory.md."""
    result = json.loads((RESULTS / f'memory/{name}.json').read_text())
    rows = [r for r in result['rows'] if not arms or r['arm'] in arms]
    plot_pareto(rows, str(ROOT / f'docs/images/{name}.png'))
    text = 'Memory against FLOPs; filled: on the Pareto front'
    return f'![{text}](images/{name}.png)'


def comparison_table(name: str, _: Optional[List[str]]) -> str:
    """One run of tools/analysis_tools/compare_methods.py."""
    path = RESULTS / f'comparisons/{name}.json'
    if not path.exists():
        return 'Not run.'
    result = json.loads(path.read_text())
    metric, seeds = result['metric'], len(result['seeds'])
    fba = fba_row(result['rows'])
    rows = [
        f'| arm | K | {metric} | vs FBA | aux. parameters | peak / BP | '
        'rest / BP | FLOPs / BP |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    for row in result['rows']:
        verdict = order(row, fba) if fba and row is not fba else ''
        rows.append(
            f'| {row["arm"]} | {row["num_modules"]} | {accuracy(row, metric)} '
            f'| {verdict} | {row["aux_parameters"]:,} | '
            f'{row["peak_ratio"]:.2f} | {row["activation_ratio"]:.2f} | '
            f'{row["flops_ratio"]:.2f} |'
        )
    runs = 'One seed.'
    if seeds > 1:
        runs = f'Mean and standard deviation of {seeds} seeds. {ORDER_NOTE}'
    note = f'{runs} Rest: what a step adds to weights, optimizer state and '
    return '\n'.join([*rows, '', note + 'batch.', origin(result)])


def paper_table(number: str, folders: Optional[List[str]]) -> str:
    """A table of the paper, of benchmarks/paper.yml, and what we measured.

    Args:
        number (str): Its number, or another key of the file.
        folders (list[str]): The rows of these folders of configs/ only.
    """
    tables = yaml.safe_load((ROOT / 'benchmarks/paper.yml').read_text())
    key = int(number) if number.isdigit() else number
    files, trained = measured_costs(), measured_accuracy()
    rows = [
        '| row | config | paper | measured | paper, memory | peak, GiB | '
        'peak / BP | FLOPs / BP |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    plain = None
    for row in tables[key]:
        for config in row['configs']:
            folder, stem = config.split('/')
            if folder == 'bp':
                plain = config
            if folder not in folders:
                continue
            cells = [
                row['row'],
                f'[{stem}](../{config}.py)',
                row.get('figure', '-'),
                trained.get(config, 'not run'),
                row.get('memory', '-'),
                *costs(files, config, plain),
            ]
            rows.append(f'| {" | ".join(cells)} |')
    return '\n'.join(rows)


def costs(
    files: List[Dict[str, Any]], config: str, plain: Optional[str]
) -> List[str]:
    """Peak of a config, and peak and FLOPs as multiples of plain training's,
    of a comparison that has both."""
    for found in files:
        if config in found and plain in found:
            row, base = found[config], found[plain]
            return [
                f'{row["peak_bytes"] / 2**30:.2f}',
                f'{row["peak_ratio"] / base["peak_ratio"]:.2f}',
                f'{row["flops_ratio"] / base["flops_ratio"]:.2f}',
            ]
    return ['not run'] * 3


def measured_costs() -> List[Dict[str, Any]]:
    """The rows of each comparison that are a config as it is."""
    return [
        {
            config_key(row): row
            for row in json.loads(path.read_text())['rows']
            if not row['options']
        }
        for path in sorted((RESULTS / 'comparisons').glob('*.json'))
    ]


def measured_accuracy() -> Dict[str, str]:
    """What the trainings of a config as it is gave."""
    found = {}
    for path in sorted((RESULTS / 'comparisons').glob('*.json')):
        result = json.loads(path.read_text())
        metric = result['metric']
        for row in result['rows']:
            if 'mean' in row and not row['options']:
                name, _, unit = METRICS.get(metric, (metric, 3, ''))
                text = f'{name} {accuracy(row, metric)}{unit}'
                found[config_key(row)] = text
    return found


def accuracy(row: Dict[str, Any], metric: str) -> str:
    """Mean and standard deviation of a row of a comparison."""
    if 'mean' not in row:
        return 'not run'
    _, decimals, _ = METRICS.get(metric, (metric, 3, ''))
    numbers = (
        [row['mean']] if row['std'] is None else [row['mean'], row['std']]
    )
    return ' ± '.join(f'{number:.{decimals}f}' for number in numbers)


def config_key(row: Dict[str, Any]) -> str:
    """Folder and name of a row's config."""
    path = Path(row['config'])
    return f'{path.parent.name}/{path.stem}'


def accuracy_plot(name: str, _: Optional[List[str]]) -> str:
    """The same as a picture, for pages in docs/."""
    result = json.loads((RESULTS / f'comparisons/{name}.json').read_text())
    image = ROOT / f'docs/images/{name}.png'
    plot_accuracy(result['rows'], result['metric'], str(image))
    return f'![Accuracy against memory and FLOPs](images/{name}.png)'


def similarity_table(name: str, _: Optional[List[str]]) -> str:
    """One run of tools/analysis_tools/cka.py, for pages in docs/."""
    result = json.loads((RESULTS / f'similarity/{name}.json').read_text())
    reference, *others = networks = result['networks']
    image = f'images/{name}_similarity.png'
    plot_similarity(networks, str(ROOT / 'docs' / image))
    columns = [
        (f'CKA {network["name"]}', same_unit(reference, network))
        for network in others
    ] + [
        (f'probe {network["name"]}', dict(zip(network['units'], probe)))
        for network in networks
        if (probe := network['probe'])
    ]
    stages: Dict[str, List[str]] = {}
    for unit in reference['units']:
        stages.setdefault(unit.split('.')[0], []).append(unit)
    rows = [
        f'| units | {" | ".join(title for title, _ in columns)} |',
        f'| --- |{" --- |" * len(columns)}',
    ]
    for stage, units in stages.items():
        cells = [
            mean_text(values[unit] for unit in units) for _, values in columns
        ]
        rows.append(f'| {stage} | {" | ".join(cells)} |')
    note = (
        f'Means over the units of each stage. CKA: with the same unit of '
        f'{reference["name"]}; probe: accuracy of a linear classifier in '
        f'percent. {result["num_images"]} test images.'
    )
    picture = f'![CKA of all units, and linear probes by depth]({image})'
    return '\n'.join([*rows, '', picture, '', note, origin(result)])


def mean_text(values: Iterable[Optional[float]]) -> str:
    """Mean of the values that are known, formatted."""
    known = [value for value in values if value is not None]
    return f'{statistics.fmean(known):.3g}' if known else '-'


def versions_table(*_) -> str:
    """What tools/check_versions.py ran."""
    rows = [
        '| combination | Python | torch | NumPy | mm libraries | passed | '
        'failed | skipped |',
        '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    notes = []
    results = {
        path.stem: json.loads(path.read_text())
        for path in (RESULTS / 'versions').glob('*.json')
    }
    for name, result in sorted(
        results.items(), key=lambda x: int(x[1]['python'].split('.')[1])
    ):
        packages = result['packages']
        libraries = ', '.join(
            f'{package} {version}'
            for package, version in packages.items()
            if package.startswith(('mm', 'onedl'))
        )
        rows.append(
            f'| {name} | {result["python"]} | {result["torch"]} | '
            f'{packages["numpy"]} | {libraries} | {result["passed"]} | '
            f'{result["failed"]} | {result["skipped"]} |'
        )
        skips = '; '.join(
            f'{reason} ({count})' for reason, count in result['skips'].items()
        )
        notes.append(
            f'{name}: `{result["command"]}`, {result["date"]}, '
            f'{result["machine"]}. Skipped: {skips or "nothing"}.'
        )
    return '\n'.join([*rows, '', *notes])


def measured(metrics: Dict[str, Any]) -> str:
    """The main metric of a run, formatted."""
    return ', '.join(
        f'{name} {metrics[key]:.{decimals}f}{unit}'
        for key, (name, decimals, unit) in METRICS.items()
        if key in metrics
    )


def link(config: str) -> str:
    """A link to a config that works from every page on the web."""
    return f'`{Path(config).stem}`'


def origin(result: Dict[str, Any]) -> str:
    """Machine, command and date of a result."""
    note = f' {result["note"]}' if result.get('note') else ''
    return (
        f'`{result["command"]}`, {result["date"]}, {result["device"]} '
        f'({result["machine"]}), torch {result["torch"]}.{note}'
    )


TABLES = dict(
    demo=demo_table,
    results=results_table,
    memory=memory_table,
    pareto=pareto_plot,
    comparison=comparison_table,
    accuracy=accuracy_plot,
    similarity=similarity_table,
    table=paper_table,
    versions=versions_table,
)

if __name__ == '__main__':
    main()
