"""Which cells are policies developed on, and which ones are the published figures of?

Each has other arrivals than the rest: other clients or other days, other seeds. Of the real ones, periods were drawn
until an API costs more than the GPU in some of their ten minutes and less in others: elsewhere any rule is right. The
other factors were dealt out, so that each level comes about equally often. Of 28 final cells seven were left out before
the product ran on them: to save time, and mostly because one service alone was the optimum there.

Whole fortnights are not chosen by their result: each client that policies were not developed on is drawn twice, and
the factors are dealt out. A fortnight of a real client has more requests than virtual time can serve, so clients are
thinned. What a GPU costs is therefore a multiple of what the same requests cost at the API: this ratio, and not the
number of requests, decides which service is cheaper.
"""

from collections.abc import Iterator, Sequence
from copy import replace
from random import Random
from typing import Final

from benches.routing.arrivals import Arrivals
from benches.routing.cells import GPT_4O, MINI, SMALLEST, Cell, drawn, real
from benches.routing.services import token_dollars

SMALL_GPU_USD = 0.32
"""An hour of a small GPU (an NVIDIA T4 on Azure Container Apps). So few requests pay for it that a cell lasts days."""


def small(
    arrivals: Arrivals,
    *,
    api: str = GPT_4O,
    start_s: float,
    idle_s: float,
    room: int = 64,
    configured: float = 1.0,
    gpu_hour_usd: float | None = SMALL_GPU_USD,
) -> Cell:
    """Return a cell on the small GPU, named by its arrivals."""
    what = f"client {arrivals.source}" if arrivals.source.isdigit() else arrivals.source
    when = f", day {arrivals.first_day:g}" if arrivals.source.isdigit() else f", {arrivals.per_hour:g} an hour"
    return Cell(
        name=what + when,
        arrivals=arrivals,
        api=api,
        start_s=start_s,
        idle_s=idle_s,
        room=room,
        configured=configured,
        gpu_hour_usd=gpu_hour_usd,
    )


def large(arrivals: Arrivals, *, start_s: float, idle_s: float, room: int = 64, configured: float = 1.0) -> Cell:
    """Return a cell on the shipped L4."""
    return small(arrivals, start_s=start_s, idle_s=idle_s, room=room, configured=configured, gpu_hour_usd=None)


DEVELOPMENT = (
    large(real("40", 1200, day=0, days=4), start_s=60, idle_s=300),
    large(real("30", 1200, day=0, days=4), start_s=20, idle_s=600),
    large(real("9", 1200, day=0, days=1), start_s=5, idle_s=60, configured=5),
    small(real("40", 1000, day=4, days=4), start_s=150, idle_s=600),
    small(real("9", 1000, day=1, days=6), start_s=20, idle_s=60, configured=0.5),
    small(real("28", 600, day=0, days=4), api=MINI, start_s=60, idle_s=300),
    small(real("30", 1000, day=2, days=1), api=MINI, start_s=20, idle_s=60, room=8),
    small(real("32", 1200, day=12, days=1.5), start_s=60, idle_s=300),
    large(drawn("hours", 1200, 150), start_s=300, idle_s=900, room=8),
    small(drawn("hours", 1200, 38), start_s=5, idle_s=600, configured=5),
    small(drawn("quarters", 1200, 38), start_s=20, idle_s=60),
    small(drawn("quarters", 1200, 240), api=MINI, start_s=60, idle_s=300, configured=0.2),
    small(drawn("days", 1200, 45), start_s=300, idle_s=300, room=8, configured=2),
    small(drawn("days", 1200, 60), start_s=20, idle_s=900),
    small(drawn("fives", 1200, 640), api=SMALLEST, start_s=5, idle_s=60, room=8),
    small(drawn("fives", 1200, 240), api=MINI, start_s=20, idle_s=60, configured=5),
)
"""Policies are developed on these."""

FINAL = (
    large(real("2", 1500, day=4.2, days=0.3, seed=2), start_s=60, idle_s=600, room=8, configured=2),
    large(real("16", 1950, day=6.3, days=0.2, seed=2), start_s=300, idle_s=60, room=8),
    large(drawn("hours", 1000, 200, seed=3), start_s=20, idle_s=300),
    large(drawn("quarters", 1000, 170, seed=3), start_s=5, idle_s=60, configured=5),
    small(real("16", 2000, day=12.1, days=1, seed=2), start_s=5, idle_s=600, configured=2),
    small(real("19", 2000, day=6.9, days=1, seed=2), start_s=300, idle_s=300),
    small(real("21", 2000, day=11.4, days=1.5, seed=2), start_s=20, idle_s=60, configured=0.5),
    small(real("24", 2000, day=4.5, days=3, seed=2), start_s=5, idle_s=60),
    small(real("24", 1500, day=4.6, days=3, seed=3), start_s=150, idle_s=300, room=8),
    small(real("35", 1500, day=13.4, days=0.3, seed=2), start_s=300, idle_s=60, room=8, configured=0.2),
    small(real("36", 1950, day=9.7, days=0.6, seed=2), start_s=5, idle_s=60, configured=5),
    small(real("39", 1000, day=1.6, days=0.6, seed=2), start_s=300, idle_s=900, room=8),
    small(real("41", 1000, day=11.5, days=0.3, seed=2), start_s=150, idle_s=300, configured=0.2),
    small(drawn("hours", 1000, 45, seed=3), start_s=20, idle_s=900, room=8),
    small(drawn("hours", 1000, 250, seed=3), api=MINI, start_s=60, idle_s=600, configured=0.5),
    small(drawn("days", 1000, 50, seed=3), start_s=60, idle_s=600, configured=2),
    small(drawn("days", 1000, 40, seed=4), start_s=5, idle_s=60, room=8),
    small(drawn("quarters", 1000, 40, seed=3), start_s=150, idle_s=300),
    small(drawn("quarters", 1000, 270, seed=4), api=MINI, start_s=20, idle_s=60, room=8, configured=0.2),
    small(drawn("fives", 1000, 270, seed=3), api=MINI, start_s=5, idle_s=60, configured=2),
    small(drawn("fives", 1000, 640, seed=3), api=SMALLEST, start_s=20, idle_s=60, room=8),
)
"""Figures are published of these."""

CLIENTS: Final = ("2", "7", "13", "16", "19", "21", "24", "29", "35", "36", "39", "41")
CELLS: Final = 2 * len(CLIENTS)
REQUESTS: Final = 1500
COUNTED_REQUESTS: Final = 600
DAYS: Final = 14
APIS: Final = (GPT_4O, MINI, SMALLEST)
STARTS_S: Final = (5.0, 20.0, 60.0, 150.0, 300.0)
IDLES_S: Final = (60.0, 300.0, 600.0, 900.0)
ROOMS: Final = (8, 64)
CONFIGURED: Final = (1.0, 1.0, 0.2, 0.5, 2.0, 5.0)
ALWAYS_ON: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What a GPU that is always on costs, as a multiple of what the API costs."""


def fortnights(deal: str = "fortnights", *, cells: int = CELLS, requests: int = REQUESTS) -> Iterator[Cell]:
    """Yield the cells of a deal, which is named."""
    random = Random(deal)  # noqa: S311 - deals out factors
    levels = (APIS, STARTS_S, IDLES_S, ROOMS, CONFIGURED, ALWAYS_ON)
    factors = [dealt(each, random, cells) for each in levels]
    for number, (api, start_s, idle_s, room, configured, ratio) in enumerate(zip(*factors, strict=True)):
        client, again = CLIENTS[number % len(CLIENTS)], number // len(CLIENTS)
        cell = Cell(
            name=f"client {client}{' again' if again else ''}, {ratio:g}",
            arrivals=real(client, requests, day=0, days=DAYS, seed=5 + again),
            api=api,
            start_s=start_s,
            idle_s=idle_s,
            room=room,
            configured=configured,
        )
        yield replace(cell, gpu_hour_usd=round(ratio * hour_usd(cell), 6))


def counted_fortnights() -> Iterator[Cell]:
    """Yield a fortnight of each client on a GPU that the product ends; of fewer requests, so that they take minutes."""
    for cell in fortnights("counted", cells=len(CLIENTS), requests=COUNTED_REQUESTS):
        yield replace(cell, counted=True)


def dealt[T](levels: Sequence[T], random: Random, cells: int = CELLS) -> Sequence[T]:
    """Return a level for each cell; each comes about equally often."""
    cards = [levels[number % len(levels)] for number in range(cells)]
    random.shuffle(cards)
    return cards


def hour_usd(cell: Cell) -> float:
    """Return what all requests of a cell cost at its API, divided by its hours."""
    spent = sum(token_dollars(cell.token_price, request) for request in cell.arrivals.draw())
    return spent / (24 * DAYS)
