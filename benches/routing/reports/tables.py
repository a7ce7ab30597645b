"""Which tables does a set of cells have: one row for each cell, and how the multiples spread over the cells?"""

from collections.abc import Iterable, Mapping, Sequence

from benches.routing.cells import Cell
from benches.routing.reports.results import BEST_LITELLM, BEST_RULE, DRAWN, PRODUCT, Measured
from benches.tables import percentile, print_table

LONG_IDLE_S = 600.0
POLICIES = (
    PRODUCT,
    DRAWN,
    "rent or buy",
    BEST_RULE,
    BEST_LITELLM,
    "always the API",
    "always the GPU",
    "minimum instances 1",
)
FACTORS = ("cell", "API", "GPU, $/h", "start, s", "configured start, s")
FATES = ("starts", "unused", "misses", "p99 wait, s")


def print_cells(measured: Sequence[Measured]) -> None:
    """Print the multiple of the clairvoyant optimum that each policy costs in each cell."""
    rows = [
        [
            *factors(each.cell),
            f"{each.outcome.dollars:.2f}",
            *(multiple(each, policy) for policy in POLICIES),
            *fates(each),
        ]
        for each in measured
    ]
    print_table((*FACTORS, "idle, s", "concurrency", "product, $", *POLICIES, *FATES), rows)
    print()


def factors(cell: Cell) -> Sequence[str]:
    """Return the name and the factors of a cell."""
    api, hour_usd = cell.api.removeprefix("azure-openai-gpt-"), 3600 * cell.second_usd
    times = f"{cell.start_s:g}", f"{cell.start_s * cell.configured:g}", f"{cell.idle_s:g}"
    return cell.name, api, f"{hour_usd:.2f}", *times, str(cell.room)


def fates(each: Measured) -> Sequence[str]:
    outcome = each.outcome
    return *map(str, (outcome.lives, outcome.wasted, outcome.misses)), f"{outcome.wait_p99_s:.0f}"


def multiple(each: Measured, policy: str) -> str:
    return f"{each.costs[policy].multiple:.2f}" if policy in each.costs else ""


def print_spreads(measured: Sequence[Measured]) -> None:
    """Print how the multiples spread over the cells, and those of the product by the best of its rivals."""
    ended = [each.controlled for each in measured if each.cell.idle_s >= LONG_IDLE_S]
    named = {
        **multiples(measured),
        f"optimum with a controlled idle period, where it has {LONG_IDLE_S:g} s or more": ended,
    }
    rows = [[name, *(f"{value:.2f}" for value in spread(values))] for name, values in named.items() if values]
    print_table(("multiple of the clairvoyant optimum", "median", "p90", "worst"), rows)


def multiples(measured: Sequence[Measured]) -> Mapping[str, Sequence[float]]:
    """Return the multiples of each policy in all cells that have it, and those of the product by its rivals."""
    found: dict[str, Sequence[float]] = {
        policy: [each.costs[policy].multiple for each in measured if policy in each.costs] for policy in POLICIES
    }
    for rival in (BEST_RULE, BEST_LITELLM):
        found[f"product ÷ {rival}"] = by_rival(measured, rival)
    return found


def by_rival(measured: Sequence[Measured], rival: str) -> Sequence[float]:
    """Return the multiples of the product by those of a rival, in the cells that have it."""
    pairs = [each.costs for each in measured if rival in each.costs]
    return [each[PRODUCT].multiple / each[rival].multiple for each in pairs]


def print_counted(measured: Sequence[Measured]) -> None:
    """Print the cells in which the product ends the GPU itself, beside the optimum that does so too."""
    shown = (PRODUCT, DRAWN, BEST_RULE)
    rows = [
        [
            *factors(each.cell),
            *(multiple(each, policy) for policy in shown),
            f"{each.controlled:.2f}",
            *fates(each),
        ]
        for each in measured
    ]
    print_table((*FACTORS, "provider's idle, s", "concurrency", *shown, "by the provider's", *FATES), rows)
    long = [each.controlled for each in measured if each.cell.idle_s >= LONG_IDLE_S]
    spreads = {
        "product by the controlled optimum": [each.costs[PRODUCT].multiple for each in measured],
        "the same, whose optimum meets the drawn starts": [each.costs[DRAWN].multiple for each in measured],
        "best rule by the controlled optimum": [each.costs[BEST_RULE].multiple for each in measured],
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
