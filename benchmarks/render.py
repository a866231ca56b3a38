# Copyright (c) mmfba authors.
"""Write tables and plots of the README files and docs/ from results/."""

import re

from rendering import TABLES
from rendering.common import ROOT
from rendering.paper import measured_column

PAGES = (
    'README.md',
    'configs/bp/README.md',
    'configs/fba/README.md',
    'configs/fba_paper/README.md',
    'docs/memory.md',
    'docs/understanding.md',
)
PEERS = ('auglocal', 'dgl', 'greedy', 'infopro', 'man', 'predsim')
"""Folders of configs with tables whose last column is measured."""


def main() -> None:
    """Replace the tables of the pages."""
    for page in PAGES:
        path = ROOT / page
        path.write_text(render(path.read_text()))
    for folder in PEERS:
        path = ROOT / f'configs/{folder}/README.md'
        path.write_text(measured_column(path.read_text(), folder))


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


if __name__ == '__main__':
    main()
