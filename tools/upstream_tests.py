# Copyright (c) mmfba authors.
"""Run upstream's own tests with the classes of mmfba in place of theirs.

What fails runs once more with upstream's own classes. Exit status 0 means that
what fails with ours alone is what tools/upstream_tests.yml expects, which also
lists the tests and the classes. Nothing is fetched: name checkouts of the
installed versions (mmengine v0.10.7, mmdet v3.3.0, mmpretrain v1.2.0, mmagic
v1.2.0). Needs `pip install parameterized`. Takes some ten minutes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Tuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / 'tools/upstream_tests.yml'
# Every process has it, also those that tests start.
START = """
import os, traceback
try:
    from upstream_tests import prepare, put_ours
    prepare({library!r})
    put_ours({swaps!r})
except BaseException:  # Python itself would go on
    traceback.print_exc()
    os._exit(1)
"""
Swaps = Dict[str, List[str]]


def prepare(library: str) -> None:
    """Let tests find what lies elsewhere once the library is installed.

    Args:
        library (str): Name of the library.
    """
    if library == 'mmdet':
        from mmdet.testing import _utils

        configs = Path(_utils.__file__).parents[1] / '.mim/configs'
        _utils._get_config_directory = lambda: str(configs)


def put_ours(swaps: Swaps) -> None:
    """Put our classes where tests and configs find those of upstream.

    Args:
        swaps (dict): Paths of theirs, by that of ours.
    """
    # All are imported before the first takes the place of another.
    pairs = [
        (find(path), find(ours))
        for ours, theirs in swaps.items()
        for path in theirs
    ]
    for pair in pairs:
        _replace(*pair)


def find(path: str) -> type:
    """Import a class.

    Args:
        path (str): Its package and name.

    Returns:
        type: The class.
    """
    package, name = path.rsplit('.', 1)
    return getattr(import_module(package), name)


def _replace(theirs: type, ours: type) -> None:
    """In every package that exports the class, and in the registries."""
    from mmengine.registry import Registry

    library, name = theirs.__module__.split('.')[0], theirs.__name__
    modules = [
        module
        for key, module in list(sys.modules.items())
        if key.split('.')[0] == library
        and (hasattr(module, '__path__') or key == f'{library}.registry')
    ]
    for module in modules:
        for key, value in list(vars(module).items()):
            if value is theirs:
                setattr(module, key, ours)
            elif isinstance(value, Registry):
                registered = value._module_dict
                if registered.get(name) is theirs:
                    registered[name] = ours


def run(
    folder: Path, library: str, tests: List[str], swaps: Swaps
) -> Tuple[int, Dict[str, str]]:
    """Run tests with our classes, and what fails once more with theirs.

    Args:
        folder (Path): Upstream's folder ``tests``.
        library (str): Name of the library.
        tests (list[str]): Files and folders in it.
        swaps (dict): See :func:`put_ours`.

    Returns:
        tuple[int, dict[str, str]]: The number of tests that pass, and the
        error of each that fails with our classes alone, by its name.
    """
    paths = [str(folder / name) for name in tests]
    with tempfile.TemporaryDirectory() as work:
        passed, ours = _pytest(Path(work), folder, library, swaps, paths)
        theirs = {}
        if ours:
            paths += ['--last-failed', '--last-failed-no-failures=none']
            _, theirs = _pytest(Path(work), folder, library, {}, paths)
    return passed, {k: v for k, v in ours.items() if k not in theirs}


def _pytest(
    work: Path, folder: Path, library: str, swaps: Swaps, args: List[str]
) -> Tuple[int, Dict[str, str]]:
    """Number of tests that pass, and the errors of the others."""
    start = START.format(library=library, swaps=swaps)
    (work / 'sitecustomize.py').write_text(start)
    path = [str(work), str(ROOT), str(ROOT / 'tools')]
    path += filter(None, [os.environ.get('PYTHONPATH')])
    xml = work / 'results.xml'
    xml.unlink(missing_ok=True)
    options = ['-q', '--tb=short', f'--rootdir={folder}', f'--junitxml={xml}']
    options += ['-o', f'cache_dir={work}/cache']
    subprocess.run(
        [sys.executable, '-m', 'pytest', *options, *args],
        cwd=folder.parent,  # tests look for tests/data there
        # The tests are older than torch's refusal of their checkpoints.
        env=dict(
            os.environ,
            PYTHONPATH=os.pathsep.join(path),
            TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD='1',
        ),
    )
    if not xml.exists():
        raise SystemExit(f'error: pytest did not run the tests in {folder}')
    passed, errors = 0, {}
    for case in ET.parse(xml).iter('testcase'):
        ends = {found.tag: found for found in case}
        bad = ends.get('failure', ends.get('error'))
        if bad is not None:
            name = f'{case.get("classname")}.{case.get("name")}'
            errors[name] = ' '.join((bad.get('message') or '').split())
        elif 'skipped' not in ends:
            passed += 1
    return passed, errors


def judge(found: Dict[str, str], expected: List[Dict[str, Any]]) -> List[str]:
    """Compare with the list of expected differences.

    Args:
        found (dict): See :func:`run`.
        expected (list[dict]): Entries with ``reason``, ``error``, a part of
            the error, and ``tests``.

    Returns:
        list[str]: What is not as expected.
    """
    known = {t: entry['error'] for entry in expected for t in entry['tests']}
    lines = [
        f'not expected: {name}: {error[:200]}'
        for name, error in found.items()
        if name not in known or known[name] not in error
    ]
    gone = [name for name in known if name not in found]
    return lines + [f'expected, but did not fail: {name}' for name in gone]


def main(argv=None) -> None:
    """Run the tests of the libraries that are named.

    Args:
        argv (list[str], optional): Arguments instead of the command line's.
            Defaults to None.
    """
    libraries = yaml.safe_load(LIST.read_text())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for library in libraries:
        parser.add_argument(
            f'--{library}', type=Path, help='checkout with the folder tests'
        )
    folders = {k: v for k, v in vars(parser.parse_args(argv)).items() if v}
    if not folders:
        names = ', '.join(f'--{library}' for library in libraries)
        parser.error(f'name a folder by one of {names}')
    problems = []
    for library, folder in folders.items():
        found, passed = {}, 0
        for suite in libraries[library]['suites']:
            tests = (folder / 'tests').absolute()
            count, failed = run(tests, library, **suite)
            found.update(failed)
            passed += count
        problems += judge(found, libraries[library]['differences'])
        print(f'{library}: {passed} pass, {len(found)} fail with ours alone')
    print(*problems, sep='\n')
    sys.exit(bool(problems))


if __name__ == '__main__':
    main()
