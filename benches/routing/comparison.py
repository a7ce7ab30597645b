"""What does the product's choice between an API and a GPU cost, compared with rules and with perfect foresight?"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from itertools import product as combinations
from pathlib import Path

from benches.routing.cells import COUNTED_IDLE_S, Cell
from benches.routing.decisions import print_decisions
from benches.routing.demand import counted_requests, demand_of, terms_of
from benches.routing.gate import record
from benches.routing.measured_cells import DEVELOPMENT, FINAL, counted_fortnights, fortnights
from benches.routing.optimum import controlled_optimum, drawn_optimum, optimum
from benches.routing.product import Outcome, simulate, start_times_s
from benches.routing.reports.plots import plot
from benches.routing.reports.results import BEST_RULE, DRAWN, PRODUCT, Cost, Measured, file_of, keep, with_litellm
from benches.routing.reports.summary import FORTNIGHTS, NEAR, print_summary
from benches.routing.reports.tables import print_cells, print_counted, print_spreads, print_wrong_bills
from domain.routing.rent_or_buy import Rule
from domain.routing.rules.replay import ALWAYS, NEVER, PLAIN, PastDemand, SessionTerms, replay

RULES = (
    *(Rule(*each) for each in combinations((0.3, 0.6, 1.0, 1.6, 2.5), (0.3, 0.6, 1.0, 1.6), (0.5, 1.0, 2.0))),
    NEVER,
    ALWAYS,
)
"""The rules of which the best is chosen in hindsight."""

IDLE_SHARES = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
PROCESSES = 2


def measure(cell: Cell) -> Measured:
    """Run the product on a cell, and the other policies beside it.

    The optimum pays the median start each time; a second one meets the same drawn starts as the product.
    """
    requests = cell.arrivals.draw()
    demand, outcome = demand_of(cell, requests), simulate(cell)
    counted = demand[-len(counted_requests(requests)) :]
    if cell.counted:
        return measure_counted(cell, demand, counted, outcome)
    least = optimum(counted, terms_of(cell), idle_since=outcome.idle_since)
    drawn = least_drawn(cell, counted, outcome, stays_s=cell.idle_s)
    costs = {PRODUCT: cost_by(outcome, least), DRAWN: cost_by(outcome, drawn), **baselines(cell, demand, counted)}
    controlled = controlled_optimum(counted, terms_of(cell)) / optimum(counted, terms_of(cell))
    return Measured(cell=cell, outcome=outcome, costs=costs, controlled=controlled)


def measure_counted(
    cell: Cell, demand: Sequence[PastDemand], counted: Sequence[PastDemand], outcome: Outcome
) -> Measured:
    """Compare the product that ends the GPU itself with the optimum that does, and that with the one that can't."""
    terms, fixed = terms_of(cell), optimum(counted, terms_of(cell))
    least = controlled_optimum(counted, terms, idle_since=outcome.idle_since)
    rules = [rule._replace(idle_s=max(COUNTED_IDLE_S, share * cell.start_s)) for rule in RULES for share in IDLE_SHARES]
    costs = [cost_of(rule, demand, counted, terms, counted_gpu=True) for rule in rules]
    found = {
        PRODUCT: cost_by(outcome, least),
        DRAWN: cost_by(outcome, least_drawn(cell, counted, outcome, stays_s=math.inf)),
        BEST_RULE: min(costs, key=lambda cost: cost.multiple),
    }
    return Measured(cell=cell, outcome=outcome, costs=found, controlled=outcome.dollars / fixed)


def cost_by(outcome: Outcome, least: float) -> Cost:
    return Cost(outcome.dollars, outcome.dollars / least)


def least_drawn(cell: Cell, counted: Sequence[PastDemand], outcome: Outcome, *, stays_s: float) -> float:
    """Return the least cost where the next start takes as long as the product's next one did, and so on."""
    starts_s = list(islice(start_times_s(cell), outcome.earlier_starts, outcome.earlier_starts + len(counted)))
    return drawn_optimum(counted, terms_of(cell), starts_s, stays_s=stays_s, idle_since=outcome.idle_since)


def baselines(cell: Cell, demand: Sequence[PastDemand], counted: Sequence[PastDemand]) -> Mapping[str, Cost]:
    """Return what the counted requests cost under other policies; a rule sees no room and no spread of starts."""
    rules = {rule: cost_of(rule, demand, counted, terms_of(cell)) for rule in RULES}
    lasts_s = counted[-1].at + counted[-1].busy_s + cell.idle_s - counted[0].at
    always_on = cell.second_usd * lasts_s
    return {
        "rent or buy": rules[PLAIN],
        BEST_RULE: min(rules.values(), key=lambda cost: cost.multiple),
        "always the API": rules[NEVER],
        "always the GPU": rules[ALWAYS],
        "minimum instances 1": Cost(always_on, always_on / optimum(counted, terms_of(cell))),
    }


def cost_of(
    rule: Rule,
    demand: Sequence[PastDemand],
    counted: Sequence[PastDemand],
    terms: SessionTerms,
    *,
    counted_gpu: bool = False,
) -> Cost:
    before, whole = replay(demand[: -len(counted)], rule, terms), replay(demand, rule, terms)
    is_up = before.warm_until > counted[0].at
    idle_s = terms.idle_s if rule.idle_s is None else rule.idle_s
    best = controlled_optimum if counted_gpu else optimum
    least = best(counted, terms, idle_since=before.warm_until - idle_s if is_up else None)
    dollars = whole.dollars - before.dollars
    return Cost(dollars, dollars / least)


def measure_all(cells: Sequence[Cell], file: Path) -> Sequence[Measured]:
    """Measure cells in parallel, keep what is found so far in a file, and say how far it is."""
    measured: list[Measured] = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        for each in pool.map(measure, cells):
            measured.append(each)
            keep(measured, file)
            print(f"{len(measured)} of {len(cells)}: {each.cell.name}", file=sys.stderr, flush=True)
    return [with_litellm(each) for each in measured]


SETS: Mapping[str, Callable[[], Iterable[Cell]]] = {
    FORTNIGHTS: fortnights,
    "counted": counted_fortnights,
    "development": lambda: DEVELOPMENT,
    NEAR: lambda: FINAL,
}


def main() -> None:
    """Measure a set of cells, by default those near break-even, or print what is kept of all final cells."""
    if "record" in sys.argv:
        record()
        return
    if "summary" in sys.argv:
        print_summary()
        return
    chosen = next((name for name in SETS if name in sys.argv), NEAR)
    measured = measure_all(list(SETS[chosen]()), file_of(chosen))
    if chosen == "counted":
        print_counted(measured)
        return
    print_cells(measured)
    print_spreads(measured)
    print_wrong_bills(measured)
    drawing = file_of(chosen).with_suffix(".svg")
    plot([(each.cell.name, {name: cost.multiple for name, cost in each.costs.items()}) for each in measured], drawing)
    print(f"\n{drawing}\n")
    print_decisions()
