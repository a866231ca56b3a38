# Copyright (c) mmfba authors.
"""Run the tests with other versions of Python, torch and the mm libraries.

requirements/versions/NAME.txt names a combination of versions; its environment
is made in work_dirs/versions/NAME, where it is not there yet: gigabytes, and
minutes of compiling mmcv. Needs nothing but Python.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parents[1]
COMBINATIONS = ROOT / 'requirements/versions'
RESULTS = ROOT / 'benchmarks/results/versions'
# What the environment holds, asked with its own interpreter.
DESCRIBE = """
import importlib.metadata as metadata, json
from mmfba.analysis.environment import describe_environment

known = ('torchvision', 'numpy', 'mmcv', 'mmengine', 'mmdet', 'mmdetection',
         'mmpretrain', 'mmagic')
names = sorted({d.metadata['Name'].lower() for d in metadata.distributions()})
packages = {n: metadata.version(n) for n in names
            if n.replace('onedl-', '') in known}
print(json.dumps(dict(describe_environment(), packages=packages)))
"""


def main(argv=None) -> None:
    """Make the environment, run the tests, write the result.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.
    """
    names = sorted(path.stem for path in COMBINATIONS.glob('*.txt'))
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        epilog='What follows is for pytest.',
    )
    parser.add_argument('name', choices=[*names, 'pinned'])
    parser.add_argument(
        '--python', help="the combination's interpreter, such as python3.9"
    )
    parser.add_argument(
        '--env', type=Path, help='use this environment as it is instead'
    )
    parser.add_argument('--out', type=Path, default=RESULTS, help='folder')
    args, pytest_args = parser.parse_known_args(argv)
    if args.env:
        env = args.env.absolute()
    elif args.name == 'pinned':
        run('bash', 'tools/setup_env.sh')
        env = ROOT / '.venv'
    else:
        env = ROOT / 'work_dirs/versions' / args.name
        make_environment(args.name, args.python, env)
    result = dict(
        describe(env / 'bin/python'),
        command=shlex.join(
            ['python', 'tools/check_versions.py', args.name, *pytest_args]
        ),
        **run_tests(env / 'bin/python', pytest_args),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out / f'{args.name}.json'
    out.write_text(json.dumps(result, indent=2) + '\n')
    sys.exit(bool(result['failed']))


def make_environment(name: str, python: str, env: Path) -> None:
    """Install what ``requirements/versions/NAME.txt`` says.

    The mm libraries come after the rest and without their dependencies: mmcv
    is compiled against the torch of the environment, mmagic's requirements
    cannot be met, and the onedl packages do not require each other.
    """
    file = COMBINATIONS / f'{name}.txt'
    wanted = re.match(r'# Python (3\.\d+)', file.read_text()).group(1)
    python = python or f'python{wanted}'
    if not shutil.which(python):
        sys.exit(f'error: no {python} here; name one by --python')
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    found = subprocess.check_output([python, '-c', version], text=True).strip()
    if found != wanted:
        sys.exit(f'error: {name} needs Python {wanted}, {python} is {found}')
    if not (env / 'bin/python').exists():
        run(python, '-m', 'venv', env)

    lines = [x for x in file.read_text().splitlines() if x[0] != '#']
    libraries = [x for x in lines if x.startswith(('mm', 'onedl'))]
    rest = [x for x in lines if x not in libraries]
    for part in ('runtime', 'tests', 'mmdeps'):
        rest += ['-r', f'requirements/{part}.txt']
    pip = (env / 'bin/python', '-m', 'pip', 'install', '--progress-bar', 'off')
    run(*pip, *rest)
    os.environ.setdefault('CFLAGS', '-g0 -w -O1')
    os.environ['MMCV_WITH_OPS'] = '1'
    if not shutil.which('nvcc') and not os.environ.get('CUDA_HOME'):
        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # else mmcv insists on nvcc
    # A wheel in pip's cache may be of another torch.
    own = ('--no-deps', '--no-build-isolation', '--no-cache-dir')
    run(*pip, *own, *libraries)
    run(*pip, *own, '-e', '.')


def run(*command: Any) -> None:
    """Run a command in the root; end with its status if that is not 0."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT)
    if done.returncode:
        sys.exit(done.returncode)


def describe(python: Path) -> Dict[str, Any]:
    """Date, machine and versions, as in all results."""
    return json.loads(
        subprocess.check_output([str(python), '-c', DESCRIBE], cwd=ROOT)
    )


def run_tests(python: Path, pytest_args: List[str]) -> Dict[str, Any]:
    """Run pytest and count.

    Returns:
        dict: What was run in ``tests``, the numbers ``passed``, ``failed`` and
        ``skipped``, the names of the failed tests in ``failures``, and
        ``skips``, how often each reason to skip was given.
    """
    report = ROOT / 'work_dirs' / f'tests-{os.getpid()}.xml'
    report.parent.mkdir(exist_ok=True)
    subprocess.run(
        [python, '-m', 'pytest', f'--junitxml={report}', '-m', 'not slow']
        + ['-n', 'auto', *pytest_args],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
    )
    if not report.exists():
        sys.exit('error: pytest did not run, see above')
    cases = ET.parse(report).getroot().findall('.//testcase')
    report.unlink()
    skips = Counter(x.get('message') for c in cases for x in c.iter('skipped'))
    # The processes end in any order; what is committed has one.
    failures = sorted(
        f'{case.get("classname")}::{case.get("name")}'
        for case in cases
        if {'failure', 'error'} & {child.tag for child in case}
    )
    counts = dict(failed=len(failures), skipped=sum(skips.values()))
    return dict(
        tests=shlex.join(pytest_args) or 'all but the slow',
        passed=len(cases) - sum(counts.values()),
        **counts,
        failures=failures,
        skips=dict(sorted(skips.items())),
    )


if __name__ == '__main__':
    main()
