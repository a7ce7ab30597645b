"""How is a comparison drawn? Four plots in one SVG, from the numbers of the report alone."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

LEFT, WIDTH, ROW, TITLE = 300, 860, 30, 44
LINES: Final = 240
"""The height of a plot with lines, in pixels."""

STEPS: Final = 4
COLOURS: Final = ("#3a7ca5", "#b5542b")

type Point = tuple[float, float]


def plots(report: Mapping[str, Any]) -> str:
    """Return an SVG: the month of each way, the break-even, the month in which owning pays, and the mixes."""
    panels = (ways(report), break_even(report), owning(report), mixes(report))
    y, placed = 0, list[str]()
    for height, marks in panels:
        placed.append(f'<g transform="translate(0 {y})">{"".join(marks)}</g>')
        y += height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif">'
    return "\n".join((head, f'<rect width="{WIDTH}" height="{y}" fill="white"/>', *placed, "</svg>", ""))


def ways(report: Mapping[str, Any]) -> tuple[int, Sequence[str]]:
    months = {name: float(usd) for name, usd in report["usd_a_month"].items()}
    return bars("A month of each way", {name: (usd, f"${usd:,.2f}") for name, usd in months.items()})


def mixes(report: Mapping[str, Any]) -> tuple[int, Sequence[str]]:
    """Return the cost of the requests with each mix of GPU types beside the API, the cheapest first."""
    rows = {" + ".join((*each["gpus"], "API")): float(each["usd"]) for each in report["mixes"]}
    return bars(
        "These requests with each mix of GPU types", {name: (usd, f"${usd:,.4f}") for name, usd in rows.items()}
    )


def break_even(report: Mapping[str, Any]) -> tuple[int, Sequence[str]]:
    """Return the dollars of an hour by the requests in it: those of the API rise, those of a GPU that is up do not."""
    even, hour = float(report["break_even"]["requests_an_hour"]), float(report["gpu_hour_usd"])
    most = 2 * even
    api, gpu = [(0.0, 0.0), (most, 2 * hour)], [(0.0, hour), (most, hour)]
    title = f"Break-even at {even:,.0f} requests an hour: dollars of an hour"
    return lines(title, {"API": api, "GPU always on": gpu}, f"{most:,.0f} requests an hour", mark=even)


def owning(report: Mapping[str, Any]) -> tuple[int, Sequence[str]]:
    """Return the dollars until each month of owned hardware and of the cheapest other way."""
    month, owned = report["owning_pays_in_month"], report["owned"]
    most = float(2 * month if month else 24)
    bought, kept = float(owned["purchase_usd"]), float(owned["month_usd"])
    other = float(report["usd_a_month"][report["cheapest"]])
    curves = {
        report["cheapest"]: [(0.0, 0.0), (most, most * other)],
        "owned": [(0.0, bought), (most, bought + most * kept)],
    }
    title = f"Owning pays in month {month}" if month else "Owning never pays"
    return lines(f"{title}: dollars until then", curves, f"{most:,.0f} months", mark=float(month or 0))


def bars(title: str, rows: Mapping[str, tuple[float, str]]) -> tuple[int, Sequence[str]]:
    longest = max(value for value, _ in rows.values()) or 1.0
    drawn = [bar(name, value / longest, text, place) for place, (name, (value, text)) in enumerate(rows.items())]
    return TITLE + ROW * len(rows) + 20, [heading(title), *drawn]


def bar(name: str, share: float, text: str, place: int) -> str:
    y, width = TITLE + ROW * place, share * (WIDTH - LEFT - 130)
    return (
        f'<text x="{LEFT - 10}" y="{y + 16}" font-size="12" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="18" fill="{COLOURS[0]}"/>'
        f'<text x="{LEFT + width + 8:.1f}" y="{y + 16}" font-size="12">{text}</text>'
    )


def lines(title: str, curves: Mapping[str, Sequence[Point]], below: str, *, mark: float) -> tuple[int, Sequence[str]]:
    """Draw curves over a scale of time or rate, whose end is named `below`; `mark` is where they cross, 0 for none."""
    most = max(x for points in curves.values() for x, _ in points)
    top = max(y for points in curves.values() for _, y in points) or 1.0
    drawn = [curve(name, points, COLOURS[at % 2], (most, top), at) for at, (name, points) in enumerate(curves.items())]
    grid = list(scale(top))
    ends = (
        f'<text x="{LEFT}" y="{TITLE + LINES + 16}" font-size="12">0</text>'
        f'<text x="{WIDTH - 130}" y="{TITLE + LINES + 16}" font-size="12" text-anchor="end">{escape(below)}</text>'
    )
    x = place_of((mark, 0.0), (most, top))[0]
    crossing = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TITLE}" y2="{TITLE + LINES}" stroke="#888" stroke-dasharray="4"/>'
    return TITLE + LINES + 40, [heading(title), *grid, *drawn, ends, *([crossing] if mark else [])]


def curve(name: str, points: Sequence[Point], colour: str, ends: Point, at: int) -> str:
    placed = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place_of(each, ends) for each in points))
    return (
        f'<polyline points="{placed}" fill="none" stroke="{colour}" stroke-width="2"/>'
        f'<text x="10" y="{TITLE + 20 + 18 * at}" font-size="12" fill="{colour}">{escape(name)}</text>'
    )


def place_of(point: Point, ends: Point) -> Point:
    """Return where a point is in the picture; `ends` is the highest of both scales."""
    return LEFT + (WIDTH - LEFT - 130) * point[0] / ends[0], TITLE + LINES * (1 - point[1] / ends[1])


def scale(top: float) -> Iterator[str]:
    for step in range(STEPS + 1):
        y = TITLE + LINES * (1 - step / STEPS)
        yield (
            f'<line x1="{LEFT}" x2="{WIDTH - 130}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" font-size="12" text-anchor="end">${top * step / STEPS:,.2f}</text>'
        )


def heading(title: str) -> str:
    return f'<text x="10" y="24" font-size="15" font-weight="bold">{escape(title)}</text>'
