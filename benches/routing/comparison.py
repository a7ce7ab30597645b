"""What does the product's choice between an API and a GPU cost, compared with rules and with perfect foresight?"""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from itertools import product as combinations
from typing import NamedTuple

from benches.routing.arrivals import DATA
from benches.routing.cells import COUNTED_IDLE_S, Cell
from benches.routing.decisions import print_decisions
from benches.routing.demand import counted_requests, demand_of, terms_of
from benches.routing.gate import record
from benches.routing.measured_cells import DEVELOPMENT, FINAL, counted_fortnights, fortnights
from benches.routing.optimum import controlled_optimum, drawn_optimum, optimum
from benches.routing.plots import plot
from benches.routing.product import Outcome, simulate, start_times_s
from benches.tables import percentile, print_table
from domain.routing.rent_or_buy import Rule
from domain.routing.rules.replay import ALWAYS, NEVER, PLAIN, PastDemand, SessionTerms, replay
from settings import ROOT

RULES = (
    *(Rule(*each) for each in combinations((0.3, 0.6, 1.0, 1.6, 2.5), (0.3, 0.6, 1.0, 1.6), (0.5, 1.0, 2.0))),
    NEVER,
    ALWAYS,
)
"""The rules of which the best is chosen in hindsight."""

IDLE_SHARES = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
LONG_IDLE_S = 600.0
DRAWN = "product by the drawn starts"
LITELLM = DATA / "routing-litellm.json"
PROCESSES = 2
PLOT = ROOT / ".run" / "routing.svg"


class Cost(NamedTuple):
    """What the counted requests cost under a policy: dollars, and the multiple of what they cost at least.

    Each policy is compared with the optimum that begins with the same GPU, up or down.
    """

    dollars: float
    multiple: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A cell with its outcome, and the cost of each policy, by its name.

    `controlled` is the optimum that ends idle GPUs itself, as a multiple of the one that can't.
    """

    cell: Cell
    outcome: Outcome
    costs: Mapping[str, Cost]
    controlled: float


def measure(cell: Cell) -> Measured:
    """Run the product on a cell, and the other policies beside it."""
    requests = cell.arrivals.draw()
    demand, outcome = demand_of(cell, requests), simulate(cell)
    counted = demand[-len(counted_requests(requests)) :]
    if cell.counted:
        return measure_counted(cell, demand, counted, outcome)
    least = optimum(counted, terms_of(cell), idle_since=outcome.idle_since)
    product = Cost(outcome.dollars, outcome.dollars / least)
    costs = {"product": product, **baselines(cell, demand, counted), **best_of_litellm(cell)}
    controlled = controlled_optimum(counted, terms_of(cell)) / optimum(counted, terms_of(cell))
    return Measured(cell=cell, outcome=outcome, costs=costs, controlled=controlled)


def measure_counted(
    cell: Cell, demand: Sequence[PastDemand], counted: Sequence[PastDemand], outcome: Outcome
) -> Measured:
    """Compare the product that ends the GPU itself with the optimum that does, and that with the one that can't.

    The optimum pays the median start each time; a second one meets the same drawn starts as the product.
    """
    terms, fixed = terms_of(cell), optimum(counted, terms_of(cell))
    least = controlled_optimum(counted, terms, idle_since=outcome.idle_since)
    rules = [rule._replace(idle_s=max(COUNTED_IDLE_S, share * cell.start_s)) for rule in RULES for share in IDLE_SHARES]
    costs = [cost_of(rule, demand, counted, terms, counted_gpu=True) for rule in rules]
    starts_s = list(islice(start_times_s(cell), outcome.earlier_starts, outcome.earlier_starts + len(counted)))
    drawn = drawn_optimum(counted, terms, starts_s, idle_since=outcome.idle_since)
    found = {
        "product": Cost(outcome.dollars, outcome.dollars / least),
        DRAWN: Cost(outcome.dollars, outcome.dollars / drawn),
        "best rule": min(costs, key=lambda cost: cost.multiple),
    }
    return Measured(cell=cell, outcome=outcome, costs=found, controlled=outcome.dollars / fixed)


def best_of_litellm(cell: Cell) -> Mapping[str, Cost]:
    """Return the recorded cost of LiteLLM's best strategy in hindsight, if the cell is recorded."""
    multiples = recorded_litellm().get(cell.name)
    return {"best LiteLLM": Cost(math.nan, min(multiples.values()))} if multiples else {}


@cache
def recorded_litellm() -> Mapping[str, Mapping[str, float]]:
    return json.loads(LITELLM.read_text(encoding="utf-8"))["cells"] if LITELLM.exists() else {}


def baselines(cell: Cell, demand: Sequence[PastDemand], counted: Sequence[PastDemand]) -> Mapping[str, Cost]:
    """Return what the counted requests cost under other policies; a rule sees no room and no spread of starts."""
    rules = {rule: cost_of(rule, demand, counted, terms_of(cell)) for rule in RULES}
    lasts_s = counted[-1].at + counted[-1].busy_s + cell.idle_s - counted[0].at
    always_on = cell.second_usd * lasts_s
    return {
        "rent or buy": rules[PLAIN],
        "best rule": min(rules.values(), key=lambda cost: cost.multiple),
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


def measure_all(cells: Sequence[Cell]) -> Sequence[Measured]:
    """Measure cells in parallel, and say how far it is."""
    measured: list[Measured] = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        for each in pool.map(measure, cells):
            measured.append(each)
            print(f"{len(measured)} of {len(cells)}: {each.cell.name}", file=sys.stderr, flush=True)
    return measured


POLICIES = (
    "product",
    "rent or buy",
    "best rule",
    "best LiteLLM",
    "always the API",
    "always the GPU",
    "minimum instances 1",
)


def print_cells(measured: Sequence[Measured]) -> None:
    """Print the multiple of the clairvoyant optimum that each policy costs in each cell."""
    rows = [
        [
            *factors(each.cell),
            f"{each.outcome.dollars:.2f}",
            *(multiple(each, policy) for policy in POLICIES),
            *map(str, (each.outcome.lives, each.outcome.wasted, each.outcome.misses)),
            f"{each.outcome.wait_p99_s:.0f}",
        ]
        for each in measured
    ]
    head = (
        "cell",
        "API",
        "GPU, $/h",
        "start, s",
        "configured start, s",
        "idle, s",
        "concurrency",
        "product, $",
        *POLICIES,
    )
    print_table((*head, "starts", "unused", "misses", "p99 wait, s"), rows)
    print()


def factors(cell: Cell) -> Sequence[str]:
    """Return the name and the factors of a cell."""
    api, hour_usd = cell.api.removeprefix("azure-openai-gpt-"), 3600 * cell.second_usd
    times = f"{cell.start_s:g}", f"{cell.start_s * cell.configured:g}", f"{cell.idle_s:g}"
    return cell.name, api, f"{hour_usd:.2f}", *times, str(cell.room)


def multiple(each: Measured, policy: str) -> str:
    return f"{each.costs[policy].multiple:.2f}" if policy in each.costs else ""


def print_spreads(measured: Sequence[Measured]) -> None:
    """Print how the multiples spread over the cells, and those of the product by the best of its rivals."""
    spreads = {
        policy: [each.costs[policy].multiple for each in measured if policy in each.costs] for policy in POLICIES
    }
    for rival in ("best rule", "best LiteLLM"):
        pairs = [each.costs for each in measured if rival in each.costs]
        spreads[f"product by {rival}"] = [each["product"].multiple / each[rival].multiple for each in pairs]
    ended = [each.controlled for each in measured if each.cell.idle_s >= LONG_IDLE_S]
    spreads[f"optimum with a controlled idle period, where it has {LONG_IDLE_S:g} s or more"] = ended
    rows = [[name, *(f"{value:.2f}" for value in spread(values))] for name, values in spreads.items() if values]
    print_table(("multiple of the clairvoyant optimum", "median", "p90", "worst"), rows)


def print_counted(measured: Sequence[Measured]) -> None:
    """Print the cells in which the product ends the GPU itself, beside the optimum that does so too."""
    rows = [
        [
            *factors(each.cell),
            *(multiple(each, policy) for policy in ("product", DRAWN, "best rule")),
            f"{each.controlled:.2f}",
            *map(str, (each.outcome.lives, each.outcome.wasted, each.outcome.misses)),
            f"{each.outcome.wait_p99_s:.0f}",
        ]
        for each in measured
    ]
    head = (
        "cell",
        "API",
        "GPU, $/h",
        "start, s",
        "configured start, s",
        "provider's idle, s",
        "concurrency",
        "product",
        DRAWN,
        "best rule",
    )
    print_table((*head, "by the provider's", "starts", "unused", "misses", "p99 wait, s"), rows)
    long = [each.controlled for each in measured if each.cell.idle_s >= LONG_IDLE_S]
    spreads = {
        "product by the controlled optimum": [each.costs["product"].multiple for each in measured],
        "the same, whose optimum meets the drawn starts": [each.costs[DRAWN].multiple for each in measured],
        "best rule by the controlled optimum": [each.costs["best rule"].multiple for each in measured],
        f"product by the optimum with the provider's idle period of {LONG_IDLE_S:g} s or more": long,
    }
    table = [[name, *(f"{value:.2f}" for value in spread(values))] for name, values in spreads.items() if values]
    print_table(("multiple", "median", "p90", "worst"), table)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the 90th percentile and the worst."""
    return percentile(values, 0.5), percentile(values, 0.9), max(values)


def print_wrong_bills(measured: Iterable[Measured]) -> None:
    """Print the cells whose ledger differs from the bills by more than 2 %.

    It does where a GPU whose start is configured longer than its idle period scales in unseen.
    """
    for each in measured:
        outcome = each.outcome
        if abs(outcome.ledger_usd - outcome.bill_usd) > 0.02 * outcome.bill_usd + 0.001:
            print(f"{each.cell.name}: the ledger says ${outcome.ledger_usd:.2f}, the bills ${outcome.bill_usd:.2f}")


def chosen_cells(arguments: Sequence[str]) -> Sequence[Cell]:
    if "fortnights" in arguments:
        return list(fortnights())
    if "counted" in arguments:
        return list(counted_fortnights())
    return DEVELOPMENT if "development" in arguments else FINAL


def main() -> None:
    """Measure the cells near break-even, whole fortnights, counted GPUs, or development; `record` is for the gate."""
    if "record" in sys.argv:
        record()
        return
    measured = measure_all(chosen_cells(sys.argv))
    if "counted" in sys.argv:
        print_counted(measured)
        return
    print_cells(measured)
    print_spreads(measured)
    print_wrong_bills(measured)
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    multiples = [{policy: cost.multiple for policy, cost in each.costs.items()} for each in measured]
    plot([(each.cell.name, found) for each, found in zip(measured, multiples, strict=True)], PLOT)
    print(f"\n{PLOT}\n")
    print_decisions()
