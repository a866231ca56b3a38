# Copyright (c) mmfba authors.
"""Write tables and plots of the README files and docs/, and the models of
metafile.yml, from results/."""

import re

from rendering import TABLES
from rendering.common import ROOT
from rendering.metafiles import metafile

FOLDERS = sorted(
    path.parent.name for path in (ROOT / 'configs').glob('*/metafile.yml')
)
PAGES = (
    'README.md',
    *(f'configs/{name}/README.md' for name in FOLDERS),
    'docs/ablations.md',
    'docs/how_to/fine_tune.md',
    'docs/how_to/several_gpus.md',
    'docs/install.md',
    'docs/memory.md',
    'docs/methods.md',
    'docs/scaling.md',
    'docs/supported.md',
    'docs/understanding.md',
)


def main() -> None:
    """Replace the tables of the pages and the models of the metafiles."""
    for page in PAGES:
        path = ROOT / page
        path.write_text(render(path.read_text()))
    for folder in FOLDERS:
        path = ROOT / f'configs/{folder}/metafile.yml'
        path.write_text(metafile(folder))


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
