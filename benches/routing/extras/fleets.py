"""What do turns that can't wait for a start cost, and a mixed fleet? `python -m benches.routing.extras.fleets`

Deadlines of 30 s and starts of 60 s: the product beside plain rent-or-buy that sees at once when a GPU is up. Two GPUs,
an owned box and three APIs: the product beside a bound that no policy can be below.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from benches.routing.arrivals import Arrivals
from benches.routing.cells import GPT_4O, MINI, SMALLEST, Cell, api_price, drawn, real
from benches.routing.comparison import PROCESSES
from benches.routing.demand import counted_requests, demand_of, terms_of
from benches.routing.measured_cells import large, small
from benches.routing.optimum import optimum
from benches.routing.product import simulate
from benches.routing.services import token_dollars
from benches.tables import print_table
from domain.routing.rules.replay import PastDemand, SessionTerms

DEADLINE_S: Final = 30.0
PERIODS_S: Final = (300.0, 900.0, 1800.0, 7200.0)
BOX_DEADLINE_S: Final = 60.0
PRICE_STEPS: Final = 20


@dataclass(slots=True, kw_only=True)
class SeenAtOnce:
    """Plain rent-or-buy for turns that can't wait for a start: they rent until the GPU is up, which is seen at once."""

    terms: SessionTerms
    dollars: float = 0.0
    ready_at: float = 0.0
    ends_at: float = 0.0

    def serve(self, turn: PastDemand, spent: float) -> None:
        """Serve a turn; `spent` is the rental spend of the window with this turn."""
        terms, is_bought = self.terms, turn.at < self.ends_at
        pays = spent >= terms.price
        if is_bought and turn.at >= self.ready_at:
            until = max(self.ends_at, turn.at + turn.busy_s + terms.idle_s)
            longer_usd = (until - self.ends_at) * terms.second_usd
            if pays or longer_usd <= turn.saved:
                self.dollars, self.ends_at = self.dollars + longer_usd, until
                return
        elif not is_bought and pays:
            self.ready_at, self.ends_at = turn.at + terms.start_s, turn.at + terms.window_s
            self.dollars += terms.price
        self.dollars += turn.saved


def seen_at_once(demand: Sequence[PastDemand], counted: int, terms: SessionTerms) -> float:
    """Return what the last `counted` turns add to the bills: what is paid already when they begin is not theirs."""
    policy, first, paid = SeenAtOnce(terms=terms), 0, 0.0
    spent = 0.0
    for number, turn in enumerate(demand):
        if number == len(demand) - counted:
            paid = policy.dollars
        spent += turn.saved
        while demand[first].at < turn.at - terms.window_s:
            spent -= demand[first].saved
            first += 1
        policy.serve(turn, spent)
    return policy.dollars - paid


def deadline_cells() -> Iterator[Cell]:
    """Yield the cells; no policy was developed on their arrivals."""
    seen = (
        (large, drawn("hours", 1000, 300, seed=7), 300),
        (large, drawn("quarters", 1000, 300, seed=7), 60),
        (small, drawn("fives", 1000, 200, seed=7), 60),
        (small, drawn("days", 1000, 60, seed=7), 600),
        (small, real("16", 1500, day=2, days=1, seed=7), 300),
        (small, real("24", 1500, day=8, days=2, seed=7), 60),
        (small, real("36", 1500, day=3, days=1, seed=7), 600),
        (small, real("19", 1500, day=6.9, days=1, seed=7), 300),
    )
    for make, arrivals, idle_s in seen:
        cell = make(arrivals, start_s=60, idle_s=idle_s)
        yield Cell(
            name=cell.name,
            arrivals=arrivals,
            api=cell.api,
            start_s=60,
            idle_s=idle_s,
            deadline_s=DEADLINE_S,
            gpu_hour_usd=cell.gpu_hour_usd,
        )


def deadline_row(cell: Cell) -> Sequence[str]:
    requests, outcome = cell.arrivals.draw(), simulate(cell)
    counted = len(counted_requests(requests))
    rival = seen_at_once(demand_of(cell, requests), counted, terms_of(cell))
    dollars = f"{outcome.dollars:.3f}", f"{rival:.3f}", f"{outcome.dollars / rival:.3f}"
    return cell.name, f"{cell.idle_s:g}", *dollars, str(outcome.lives), str(outcome.misses)


def mixed_cells() -> Iterator[Cell]:
    """Yield fleets of two GPUs, an owned box and three APIs, whose bursts are too much for the box."""
    arrivals: Sequence[tuple[Arrivals, int]] = (
        (drawn("quarters", 1500, 800, seed=7), 1),
        (drawn("fives", 1500, 800, seed=7), 1),
        (drawn("hours", 1500, 600, seed=7), 1),
        (drawn("quarters", 1500, 2000, seed=8), 2),
        (drawn("hours", 1500, 2000, seed=8), 2),
    )
    for each, room in arrivals:
        yield Cell(
            name=f"{each.source}, {each.per_hour:g} an hour",
            arrivals=each,
            api=GPT_4O,
            more_apis=(MINI, SMALLEST),
            start_s=20,
            idle_s=60,
            deadline_s=BOX_DEADLINE_S,
            gpu_hour_usd=0.32,
            gpus=2,
            box_room=room,
        )


def least_bound(cell: Cell) -> float:
    """Return a bound below the cost of any policy on a mixed fleet.

    One GPU without a limit of room is no dearer than two, and the cheapest API no dearer than three; a GPU is up when
    the first turn arrives. The box is free, but the turns that arrive in a period can't use it for longer than its room
    in that period, up to their deadlines. Each length of the periods and each price of a second on the box therefore
    gives a bound: the optimum with that price, less what all its seconds are worth (weak duality). The highest counts.
    """
    turns = counted_requests(cell.arrivals.draw())
    demand = demand_of(cell, turns)
    prices = [api_price(name) for name in (cell.api, *cell.more_apis)]
    rents = [min(token_dollars(price, turn) for price in prices) for turn in turns]
    rented = [turn._replace(saved=rent) for rent, turn in zip(rents, demand, strict=True)]
    highest = max(turn.saved / turn.busy_s for turn in rented)
    steps = [highest * step / PRICE_STEPS for step in range(1, PRICE_STEPS + 1)]
    return max(0.0, *(bound(cell, rented, period_s, price) for period_s in PERIODS_S for price in steps))


def bound(cell: Cell, rented: Sequence[PastDemand], period_s: float, second_usd: float) -> float:
    """Return the bound of one length of the periods, where a second on the box has a price in those that are scarce."""
    first, most_s = rented[0].at, cell.box_room * (period_s + BOX_DEADLINE_S)
    periods = [int((turn.at - first) // period_s) for turn in rented]
    work: Counter[int] = Counter()
    for number, turn in zip(periods, rented, strict=True):
        work[number] += math.ceil(turn.busy_s)
    scarce = {number for number, seconds in work.items() if seconds > most_s}
    priced = [
        turn._replace(saved=min(turn.saved, second_usd * turn.busy_s if number in scarce else 0.0))
        for number, turn in zip(periods, rented, strict=True)
    ]
    return optimum(priced, terms_of(cell), idle_since=first) - second_usd * most_s * len(scarce)


def mixed_row(cell: Cell) -> Sequence[str]:
    outcome, least = simulate(cell), least_bound(cell)
    multiple = f"{outcome.dollars / least:.2f}" if least > 0 else ""
    dollars = f"{outcome.dollars:.3f}", f"{least:.3f}", multiple
    return cell.name, str(cell.box_room), *dollars, str(outcome.lives), str(outcome.misses), f"{outcome.wait_p99_s:.0f}"


def main() -> None:
    with ProcessPoolExecutor(PROCESSES) as pool:
        late = list(pool.map(deadline_row, deadline_cells()))
        mixed = list(pool.map(mixed_row, mixed_cells()))
    head = ("deadline 30 s, start 60 s", "idle, s", "product, $", "rent or buy, $", "multiple", "starts", "misses")
    print_table(head, late)
    print()
    head = (
        "mixed fleet",
        "concurrency of the owned machine",
        "product, $",
        "bound, $",
        "multiple",
        "starts",
        "misses",
        "p99 wait, s",
    )
    print_table(head, mixed)


if __name__ == "__main__":
    main()
