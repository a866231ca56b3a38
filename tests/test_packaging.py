# Copyright (c) mmfba authors.
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from tiny_configs import CLASSIFICATION, localised
from tiny_data import write_cifar10

import mmfba

ROOT = Path(__file__).resolve().parents[1]


def load_setup():
    spec = importlib.util.spec_from_file_location('setup', ROOT / 'setup.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_requirements(name):
    """Read ``name`` (a file in the root) as ``{package: Requirement}``."""
    lines = (ROOT / name).read_text().splitlines()
    found = [Requirement(x) for x in (y.split('#')[0] for y in lines) if x]
    by_name = {req.name.lower().replace('_', '-'): req for req in found}
    assert len(by_name) == len(found), f'a package is twice in {name}'
    return by_name


def locked_versions():
    lock = read_requirements('requirements/lock.txt')
    assert all(str(req.specifier).startswith('==') for req in lock.values())
    return {name: str(req.specifier)[2:] for name, req in lock.items()}


@pytest.fixture
def checkout(tmp_path):
    """A copy of all that packaging reads, for builds leave things behind."""
    for name in ('mmfba', 'configs', 'tools', 'requirements'):
        ignore = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    names = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE')
    for name in (*names, 'README.md', 'model-index.yml'):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def build(checkout, hook):
    """Call a PEP 517 hook as pip does; return the wheel's texts by name."""
    code = f'from setuptools.build_meta import {hook}; {hook}("out")'
    (checkout / 'out').mkdir()
    subprocess.run([sys.executable, '-c', code], cwd=checkout, check=True)
    (wheel,) = (checkout / 'out').glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        return {x: archive.read(x).decode() for x in archive.namelist()}


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert load_setup().get_version() == mmfba.__version__
    assert citation['version'] == mmfba.__version__


def test_install_requires_moves_no_version():
    requires = map(Requirement, load_setup().parse_requirements('runtime'))
    for req in requires:
        assert not req.name.startswith(('mm', 'onedl')), req
        assert all(spec.operator == '>=' for spec in req.specifier), req


@pytest.mark.parametrize('library', ['mmdet', 'mmpretrain', 'mmagic'])
def test_each_library_is_an_extra(library):
    extra = load_setup().library_extras()[library]
    names = [Requirement(line).name for line in extra]
    assert names == ['mmengine', 'mmcv', library]


@pytest.mark.parametrize('name', ['runtime', 'mminstall', 'tests'])
def test_lock_satisfies_ranges(name):
    locked = locked_versions()
    ranges = read_requirements(f'requirements/{name}.txt')
    for package, req in ranges.items():
        assert req.specifier.contains(locked[package]), req


def test_lock_satisfies_top_level_pins():
    locked = locked_versions()
    for package, req in read_requirements('requirements.txt').items():
        assert str(req.specifier) == f'=={locked[package]}'
    # Named only in a comment, as they need options of their own.
    text = (ROOT / 'requirements.txt').read_text()
    for package in ('mmcv', 'mmagic'):
        assert f'{package}=={locked[package]}' in text


def test_wheel_carries_mim_extension(checkout):
    (checkout / 'mmfba' / '.mim').mkdir()
    link = checkout / 'mmfba' / '.mim' / 'tools'
    link.symlink_to(Path('..', '..', 'tools'))  # an editable install's
    names = set(build(checkout, 'build_wheel'))
    sources = {
        f'mmfba/.mim/{path.relative_to(checkout)}'
        for folder in ('configs', 'tools')
        for path in (checkout / folder).rglob('*')
        if path.is_file()
    }
    assert 'mmfba/.mim/tools/train.py' in sources
    mim = {name for name in names if name.startswith('mmfba/.mim/')}
    assert mim == sources | {'mmfba/.mim/model-index.yml'}
    assert 'mmfba/py.typed' in names
    assert not [x for x in names if x.startswith(('tests', 'tools'))]
    assert link.is_symlink()  # later edits still reach an editable install


def test_editable_wheel_links_mim_extension(checkout):
    texts = build(checkout, 'build_editable')
    mim = checkout / 'mmfba' / '.mim'
    for name in ('configs', 'tools', 'model-index.yml'):
        assert (mim / name).is_symlink()
        assert (mim / name).resolve() == checkout / name
    # mim joins site-packages with this name.
    (top_level,) = (x for x in texts if x.endswith('top_level.txt'))
    first = texts[top_level].splitlines()[0]
    assert os.path.join('site-packages', first) == str(checkout / 'mmfba')


def test_installed_mmfba_has_mim_extension():
    try:
        importlib.metadata.version('mmfba')
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('mmfba is on the path only, not installed')
    mim = Path(mmfba.__file__).parent / '.mim'
    assert (mim / 'tools' / 'train.py').is_file()
    assert list((mim / 'configs').rglob('*.py'))


@pytest.mark.slow
def test_mim_trains_tests_and_runs(checkout, tmp_path_factory):
    """With a wheel and openmim beside the libraries that are here."""
    site, work = (tmp_path_factory.mktemp(name) for name in ('site', 'work'))
    # What else openmim asks for would move the versions here.
    mim = ['openmim', 'tabulate', 'colorama']
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps']
    pip += ['--target', str(site)]
    if subprocess.run([*pip, *mim]).returncode:
        pytest.skip('openmim cannot be downloaded here')
    subprocess.run([*pip, '--no-build-isolation', str(checkout)], check=True)
    path = os.pathsep.join([str(site), str(ROOT / 'tests')])
    write_cifar10(work / 'data/cifar10')
    (work / 'plain.py').write_text(CLASSIFICATION)
    (work / 'local.py').write_text(localised('classification', 'plain.py'))

    def run(line):
        done = subprocess.run(
            [sys.executable, '-m', 'mim', *line.split()],
            cwd=work,
            env=dict(os.environ, PYTHONPATH=path, CUDA_VISIBLE_DEVICES=''),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        assert str(site / 'mmfba/.mim/tools') in done.stdout
        return done.stdout

    run('train mmfba local.py')
    weights = work / 'work_dirs/local/epoch_1.pth'
    assert weights.is_file()
    out = run(f'test mmfba local.py --checkpoint {weights}')
    assert 'accuracy/top1' in out
    assert 'layer1' in run('run mmfba list_units local.py')


def test_model_index_names_existing_files():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import']
    for name in index['Import']:
        assert (ROOT / name).is_file(), name


def test_set_up_without_python311_says_what_to_do(checkout):
    done = subprocess.run(
        ['bash', 'tools/setup_env.sh'],
        cwd=checkout,
        env=dict(os.environ, PYTHON='no-such-python'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert 'make PYTHON=/path/to/python3.11' in done.stderr
