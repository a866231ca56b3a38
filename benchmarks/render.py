# Copyright (c) mmfba authors.
"""Write tables and plots of the README files and docs/ from results/."""

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

from mmfba.analysis.plots import plot_pareto

ROOT = Path(__file__).resolve().parents[1]
PAGES = ('README.md', 'configs/fba/README.md', 'docs/memory.md')
RESULTS = ROOT / 'benchmarks/results'
METRICS = {
    'accuracy/top1': 'top-1 {:.2f} %',
    'photographs/PSNR': 'PSNR {:.2f} dB',
}


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
        table = TABLES[kind](name, arms.split() if arms else None)
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
    result = json.loads((RESULTS / f'comparisons/{name}.json').read_text())
    metric, seeds = result['metric'], len(result['seeds'])
    rows = [
        f'| arm | K | {metric} | aux. parameters | peak / BP | '
        'rest / BP | FLOPs / BP |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for row in result['rows']:
        rows.append(
            f'| {row["arm"]} | {row["num_modules"]} | '
            f'{row["mean"]:.3f} ± {row["std"]:.3f} | '
            f'{row["aux_parameters"]:,} | {row["peak_ratio"]:.2f} | '
            f'{row["activation_ratio"]:.2f} | {row["flops_ratio"]:.2f} |'
        )
    note = (
        f'Mean and standard deviation of {seeds} seeds. Rest: what a step '
        'adds to weights, optimizer state and batch.'
    )
    return '\n'.join([*rows, '', note, origin(result)])


def versions_table(*_) -> str:
    """What tools/check_versions.py ran."""
    rows = [
        '| combination | Python | torch | NumPy | mm libraries | tests | '
        'passed | failed | skipped |',
        '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
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
            f'{packages["numpy"]} | {libraries} | {result["tests"]} | '
            f'{result["passed"]} | {result["failed"]} | {result["skipped"]} |'
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
        text.format(metrics[key])
        for key, text in METRICS.items()
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
    versions=versions_table,
)

if __name__ == '__main__':
    main()
