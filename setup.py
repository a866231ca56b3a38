# Copyright (c) mmfba authors.
"""Packaging. Tool settings live in pyproject.toml."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

ROOT = Path(__file__).resolve().parent


def get_version():
    """Read the version without importing the package (it needs torch)."""
    text = (ROOT / 'mmfba' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"__version__ = '([^']+)'", text).group(1)


def parse_requirements(name):
    """List the requirements in ``requirements/<name>.txt``."""
    text = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8')
    lines = (line.split('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def library_extras():
    """Extras that install a library and what it runs on, by its name."""
    found = {
        re.match(r'\w+', x)[0]: x for x in parse_requirements('mminstall')
    }
    base = [found.pop('mmengine'), found.pop('mmcv')]
    return {name: [*base, requirement] for name, requirement in found.items()}


def add_mim_extension(package_dir, link=False):
    """Put what ``mim`` looks for into ``<package_dir>/.mim``.

    OpenMMLab's usual function guesses from ``sys.argv``, misses PEP 660's
    ``editable_wheel``, and leaves copies in the source tree, which hide later
    edits. So this one is called by the build commands, with their target.

    Args:
        package_dir (Path): The mmfba package in the source or build tree.
        link (bool): Link to the sources, so that edits take effect, instead
            of copying them. Defaults to False.
    """
    mim_dir = package_dir / '.mim'
    shutil.rmtree(mim_dir, ignore_errors=True)
    mim_dir.mkdir(parents=True)
    for name in ('configs', 'tools', 'model-index.yml'):
        source, target = ROOT / name, mim_dir / name
        if link:
            target.symlink_to(Path('..', '..', name))
        elif source.is_dir():
            shutil.copytree(
                source, target, ignore=shutil.ignore_patterns('__pycache__')
            )
        else:
            shutil.copy(source, target)


class BuildPy(build_py):
    """Serves wheels, plain installs and PEP 660 editable installs."""

    def run(self):
        super().run()
        if self.editable_mode:
            add_mim_extension(ROOT / 'mmfba', link=True)
            self.lead_mim_here()
        else:
            add_mim_extension(Path(self.build_lib, 'mmfba'))

    def lead_mim_here(self):
        """Let ``mim`` find this checkout from a PEP 660 editable install.

        It looks for ``mmfba/`` beside the metadata, in site-packages, and
        then for the first name in top_level.txt: there an absolute path works.
        """
        wheel_dir = Path(self.get_finalized_command('install').install_lib)
        for path in wheel_dir.glob('mmfba-*.dist-info/top_level.txt'):
            path.write_text(f'{ROOT / "mmfba"}\nmmfba\n', encoding='utf-8')


class Develop(develop):
    """``setup.py develop``, which setuptools < 80 does without build_py."""

    def run(self):
        add_mim_extension(ROOT / 'mmfba', link=True)
        super().run()


if __name__ == '__main__':
    setup(
        name='mmfba',
        version=get_version(),
        description='Memory-saving supervised local learning with a feature '
        'bank (FBA) for mmpretrain, mmdet and mmagic',
        long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
        long_description_content_type='text/markdown',
        author='mmfba contributors',
        license='Apache-2.0',
        python_requires='>=3.9',
        classifiers=[
            'Programming Language :: Python :: 3',
            'Programming Language :: Python :: 3.9',
            'Programming Language :: Python :: 3.10',
            'Programming Language :: Python :: 3.11',
            'Programming Language :: Python :: 3.12',
        ],
        packages=find_packages(include=('mmfba', 'mmfba.*')),
        include_package_data=True,
        package_data={'mmfba': ['py.typed']},
        install_requires=parse_requirements('runtime'),
        extras_require={
            **library_extras(),
            'all': parse_requirements('mminstall'),
            'mim': parse_requirements('mminstall'),
            'tests': parse_requirements('tests'),
        },
        cmdclass={'build_py': BuildPy, 'develop': Develop},
        zip_safe=False,
    )
