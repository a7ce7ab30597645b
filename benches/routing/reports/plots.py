"""How do the policies compare, as a picture? One SVG: a row for each cell, a dot for each policy."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from pathlib import Path

LEFT, WIDTH, ROW, TOP = 300, 860, 22, 56
SCALE_PX = 400
"""The width of one decade, in pixels."""

COLOURS: Mapping[str, str] = {
    "product": "#0b6e4f",
    "rent or buy": "#3a7ca5",
    "best rule": "#9aa5b1",
    "always the API": "#d1495b",
    "always the GPU": "#edae49",
}
RADIUS = {"product": 6}
TICKS = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)


def position(multiple: float) -> float:
    return LEFT + SCALE_PX * log10(min(max(multiple, 0.97), 20.0))


def plot(cells: Sequence[tuple[str, Mapping[str, float]]], file: Path) -> None:
    """Write the multiples of the optimum by cell and policy; the axis is logarithmic, and ends at 20."""
    height = TOP + ROW * len(cells) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *legend(),
        *(axis_line(tick, height) for tick in TICKS),
        *(line for number, (name, multiples) in enumerate(cells) for line in row(name, multiples, number)),
        "</svg>",
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def legend() -> list[str]:
    return [
        f'<circle cx="{LEFT + 105 * at}" cy="14" r="5" fill="{colour}"/>'
        f'<text x="{LEFT + 105 * at + 9}" y="18" font-size="11">{name}</text>'
        for at, (name, colour) in enumerate(COLOURS.items())
    ]


def axis_line(tick: float, height: int) -> str:
    x = position(tick)
    return (
        f'<line x1="{x:.0f}" y1="{TOP - 12}" x2="{x:.0f}" y2="{height - 8}" stroke="#ddd"/>'
        f'<text x="{x:.0f}" y="{TOP - 16}" font-size="10" text-anchor="middle">{tick:g}</text>'
    )


def row(name: str, multiples: Mapping[str, float], number: int) -> list[str]:
    y = TOP + ROW * number + ROW // 2
    dots = [
        f'<circle cx="{position(multiples[policy]):.0f}" cy="{y}" r="{RADIUS.get(policy, 4)}" fill="{colour}"/>'
        for policy, colour in reversed(list(COLOURS.items()))
    ]
    return [f'<text x="{LEFT - 22}" y="{y + 4}" font-size="11" text-anchor="end">{escape(name)}</text>', *dots]
