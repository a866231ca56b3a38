# Copyright (c) mmfba authors.
"""The picture of the method, docs/images/method.svg."""

from html import escape

from .common import ROOT

INK, GREY, BLUE, GREEN, RED = '#222', '#777', '#2f6db5', '#2e8b57', '#d1602a'
MODULES = ('stem, layer1', 'layer2', 'layer3', 'layer4, neck, head')
X, WIDTH, GAP = 120, 170, 40  # of the modules
PICTURE = ROOT / 'docs/images/method.svg'


def method_picture() -> str:
    """A backbone in four local modules, each with its auxiliary network, the
    feature bank, and the way of each backward."""
    parts = [_text(20, 97, 'image', INK), _arrow(68, 92, X - 6, 92, INK)]
    for i, name in enumerate(MODULES):
        x = X + i * (WIDTH + GAP)
        last = i + 1 == len(MODULES)
        parts += _module(x, i, name)
        parts += _main_loss(x) if last else _auxiliary(x, i)
    parts += _bank()
    notes = (
        ('forward', INK, ''),
        ('backward, at once, as far as the cut', RED, '6 4'),
        ('into the bank, and read from it, without gradients', GREEN, '2 3'),
    )
    x = X
    for text, color, dash in notes:
        parts += [_arrow(x, 396, x + 34, 396, color, dash)]
        parts += [_text(x + 42, 400, text, GREY, size=13)]
        x += 70 + 7 * len(text)
    body = '\n'.join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 420" '
        'font-family="Helvetica, Arial, sans-serif">\n'
        '<title>Four gradient-isolated modules, each with an auxiliary '
        'network that reads the feature bank</title>\n'
        f'<rect width="980" height="420" rx="8" fill="white"/>\n{body}\n'
        '</svg>\n'
    )


def _module(x: int, i: int, name: str) -> list[str]:
    parts = [
        _box(x, 60, WIDTH, 64, BLUE),
        _text(x + WIDTH / 2, 88, f'module {i + 1}', INK, 'middle', bold=True),
        _text(x + WIDTH / 2, 109, name, GREY, 'middle', size=13),
    ]
    if i + 1 < len(MODULES):
        cut = x + WIDTH + GAP / 2
        parts += [
            _arrow(x + WIDTH + 4, 92, x + WIDTH + GAP - 6, 92, INK),
            f'<path d="M{cut} 44V140" stroke="{INK}" stroke-dasharray="3 3"/>',
            _text(cut, 36, 'cut: detached', GREY, 'middle', size=12),
        ]
    return parts


def _auxiliary(x: int, i: int) -> list[str]:
    down, up = x + 62, x + 108
    return [
        _arrow(down, 128, down, 176, INK),
        _arrow(up, 180, up, 132, RED, '6 4'),
        _box(x, 182, WIDTH, 64, RED),
        _text(x + WIDTH / 2, 209, 'auxiliary network', INK, 'middle'),
        _text(x + WIDTH / 2, 229, 'SLM, task head', GREY, 'middle', size=13),
        _text(x + WIDTH / 2, 267, f'local loss {i + 1}', RED, 'middle'),
        *_bank_entry(x, i),
    ]


def _bank_entry(x: int, i: int) -> list[str]:
    """What the module gives to the bank, and what its network reads."""
    edge = x + WIDTH + 12
    give = (
        f'<path d="M{x + WIDTH + 4} 104h8V306" fill="none" stroke="{GREEN}" '
        'stroke-width="2" stroke-dasharray="2 3"/>'
    )
    head = _head(edge, 314, 'down', GREEN)
    read = _arrow(x + 24, 314, x + 24, 252, GREEN, '2 3')
    return [give, head, *([read] if i else [])]


def _bank() -> list[str]:
    width = 3 * WIDTH + 3 * GAP
    return [
        _box(X, 316, width, 44, GREEN),
        _text(
            X + width / 2,
            343,
            'feature bank: key features of earlier modules, until their last '
            'reader',
            INK,
            'middle',
        ),
    ]


def _main_loss(x: int) -> list[str]:
    return [
        _arrow(x + 62, 128, x + 62, 176, INK),
        _arrow(x + 108, 180, x + 108, 132, RED, '6 4'),
        _text(x + WIDTH / 2, 200, 'main loss', RED, 'middle'),
        _text(
            x + WIDTH / 2,
            222,
            'inference is the plain',
            GREY,
            'middle',
            size=13,
        ),
        _text(
            x + WIDTH / 2, 240, 'network, modules 1 to 4', GREY, 'middle', 13
        ),
    ]


def _box(x: float, y: float, width: float, height: float, color: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" '
        f'fill="{color}" fill-opacity="0.12" stroke="{color}"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    color: str,
    anchor: str = 'start',
    size: int = 15,
    bold: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ''
    return (
        f'<text x="{x}" y="{y}" fill="{color}" font-size="{size}" '
        f'text-anchor="{anchor}"{weight}>{escape(text)}</text>'
    )


def _arrow(
    x1: float, y1: float, x2: float, y2: float, color: str, dash: str = ''
) -> str:
    """A horizontal or vertical line that ends in a head."""
    way = 'right' if x2 > x1 else 'down' if y2 > y1 else 'up'
    dashes = f' stroke-dasharray="{dash}"' if dash else ''
    return (
        f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{color}" stroke-width="2"'
        f'{dashes}/>{_head(x2, y2, way, color)}'
    )


def _head(x: float, y: float, way: str, color: str) -> str:
    angle = dict(right=0, down=90, up=270)[way]
    return (
        f'<path d="M4 0L-5 -5V5Z" fill="{color}" '
        f'transform="translate({x} {y}) rotate({angle})"/>'
    )
