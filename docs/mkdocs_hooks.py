# Copyright (c) mmfba authors.
"""The site shows the same Markdown as GitHub: what MkDocs needs for that."""

import os
import re
import subprocess
import sys
from pathlib import Path

from griffe import Extension
from latex2mathml.converter import convert
from mkdocs.structure.files import File
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parents[1]
PAGES = ('CHANGELOG.md', 'CONTRIBUTING.md', '*/README.md', 'configs/*/*.md')
LINKED = ('LICENSE', 'configs/**/*.py', 'benchmarks/comparisons/*.py')
LINK = re.compile(r'(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)')
RST = (
    (r':(?:class|func|meth|attr|mod):`~?([^`]+)`', r'`\1`'),
    (r':math:`([^`]+)`', lambda match: convert(match[1])),
    (r'`([^`<]+?)\s*<(\S+?)>`_', r'[\1](\2)'),
)


def on_config(config):
    """Formulas and anchors of headings are as on GitHub."""
    fence = dict(name='math', **{'class': 'math'}, format=formula)
    config.mdx_configs['pymdownx.superfences'] = dict(custom_fences=[fence])
    config.mdx_configs['toc']['slugify'] = slugify(case='lower')


def formula(source, *_, **__) -> str:
    """A block of LaTeX as MathML, which browsers draw by themselves."""
    return f'<p>{convert(source, display="block")}</p>'


def on_files(files, config):
    """Add what lies outside docs/, and the help of the tools."""
    for pattern in (*PAGES, *LINKED):
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    page = 'reference/tools.md'
    files.append(File.generated(config, page, content=tools_page()))
    return files


def tools_page() -> str:
    """What ``--help`` of each tool says."""
    text = (
        '# Tools\n\nWhat each tool in `tools/` takes, as `--help` says it.\n'
    )
    env = dict(os.environ, PYTHONPATH=str(ROOT), COLUMNS='88')
    for path in sorted((ROOT / 'tools').rglob('[!_]*.py')):
        name = path.relative_to(ROOT).as_posix()
        done = subprocess.run(
            [sys.executable, name, '--help'],
            cwd=ROOT,
            env=env,
            check=True,
            capture_output=True,
            text=True,
        )
        text += f'\n## {name}\n\n```text\n{done.stdout}```\n'
    return text


def on_page_markdown(markdown, page, config, files):
    """Links lead from file to file in the repository: to those in the site."""
    file = page.file
    path = Path(file.abs_src_path or ROOT / file.src_uri)

    def target(match) -> str:
        found = Path(os.path.normpath(path.parent / match[1]))
        if (found / 'README.md').is_file():
            found /= 'README.md'
        docs = Path(config.docs_dir)
        root = docs if docs in found.parents else ROOT
        uri = found.relative_to(root).as_posix()
        return os.path.relpath(uri, os.path.dirname(file.src_uri))

    return LINK.sub(target, markdown)


class PlainMarkdown(Extension):
    """Docstrings of this package are written for Sphinx."""

    def on_instance(self, *, obj, **kwargs) -> None:
        """Turn roles, links and formulas into Markdown."""
        if obj.docstring is None:
            return
        text = obj.docstring.value
        for pattern, markdown in RST:
            text = re.sub(pattern, markdown, text)
        obj.docstring.value = re.sub(
            r'\.\. math::\n((?:[ ]+.*\n)+)', r'```math\n\1```\n', text
        )
