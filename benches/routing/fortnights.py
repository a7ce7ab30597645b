"""What does the product cost over the whole fortnight of real clients, of which it learns its rule?

Nothing is chosen by its result: each client that policies were not developed on is drawn twice, and the factors are
dealt out, so that each level comes equally often. A fortnight of a real client has more requests than virtual time can
serve, so clients are thinned. What a GPU costs is therefore given as a multiple of what the same requests cost at the
API; this ratio, and not the number of requests, decides which service is cheaper.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from benches.routing.cells import GPT_4O, MINI, SMALLEST, Cell, real
from benches.routing.services import token_dollars

CLIENTS: Final = ("2", "7", "13", "16", "19", "21", "24", "29", "35", "36", "39", "41")
CELLS: Final = 2 * len(CLIENTS)
REQUESTS: Final = 1500
DAYS: Final = 14
APIS: Final = (GPT_4O, MINI, SMALLEST)
STARTS_S: Final = (5.0, 20.0, 60.0, 150.0, 300.0)
IDLES_S: Final = (60.0, 300.0, 600.0, 900.0)
ROOMS: Final = (8, 64)
CONFIGURED: Final = (1.0, 1.0, 0.2, 0.5, 2.0, 5.0)
ALWAYS_ON: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What a GPU that is always on costs, as a multiple of what the API costs."""


def fortnights() -> Iterator[Cell]:
    """Yield the cells."""
    random = Random("fortnights")  # noqa: S311 - deals out factors
    factors = [dealt(levels, random) for levels in (APIS, STARTS_S, IDLES_S, ROOMS, CONFIGURED, ALWAYS_ON)]
    for number, (api, start_s, idle_s, room, configured, ratio) in enumerate(zip(*factors, strict=True)):
        client, again = CLIENTS[number % len(CLIENTS)], number // len(CLIENTS)
        cell = Cell(
            name=f"client {client}{' again' if again else ''}, {ratio:g}",
            arrivals=real(client, REQUESTS, day=0, days=DAYS, seed=5 + again),
            api=api,
            start_s=start_s,
            idle_s=idle_s,
            room=room,
            configured=configured,
        )
        yield replace(cell, gpu_hour_usd=round(ratio * hour_usd(cell), 6))


def dealt[T](levels: Sequence[T], random: Random) -> Sequence[T]:
    """Return a level for each cell; each comes about equally often."""
    cards = [levels[number % len(levels)] for number in range(CELLS)]
    random.shuffle(cards)
    return cards


def hour_usd(cell: Cell) -> float:
    """Return what all requests of a cell cost at its API, divided by its hours."""
    spent = sum(token_dollars(cell.token_price, request) for request in cell.arrivals.draw())
    return spent / (24 * DAYS)
