"""How does the product fare in all final cells together: those near break-even, and whole fortnights?"""

import sys
from collections.abc import Mapping, Sequence

from benches.routing.reports.results import BEST_LITELLM, BEST_RULE, PRODUCT, Measured, file_of, kept
from benches.routing.reports.tables import by_rival, multiples, spread
from benches.tables import print_table

NEAR, FORTNIGHTS = "final", "fortnights"
TITLES: Mapping[str, str] = {NEAR: "near break-even", FORTNIGHTS: "fortnights"}

TARGETS: Mapping[str, str] = {
    PRODUCT: "1.08 / 1.20 / 1.40",
    f"product ÷ {BEST_RULE}": "worst 1.20",
    f"product ÷ {BEST_LITELLM}": "worst 1.10",
}
MOST_BY_RULE, MOST_BY_LITELLM = 1.20, 1.10
DEAR_LITELLM = 1.10
"""Where LiteLLM costs more than this multiple of the optimum, the product has to be cheaper."""


def print_summary() -> None:
    """Print the results that are kept of both sets of final cells, side by side and together."""
    missing = [cells for cells in TITLES if not file_of(cells).exists()]
    if missing:
        sys.exit(f"no results of {', '.join(missing)}: run python -m benches.routing, and then with fortnights")
    found = {title: kept(file_of(cells)) for cells, title in TITLES.items()}
    sets = {**found, "all": [each for measured in found.values() for each in measured]}
    head = [f"{title} ({len(measured)})" for title, measured in sets.items()]
    print_table(("multiple of the clairvoyant optimum: median / p90 / worst", *head, "target"), spread_rows(sets))
    print()
    print_table(("cells", *head, "target"), count_rows(sets))


def spread_rows(sets: Mapping[str, Sequence[Measured]]) -> Sequence[Sequence[str]]:
    """Return a row for each policy, with the median, the 90th percentile and the worst of each set."""
    columns = [multiples(measured) for measured in sets.values()]
    return [
        [policy, *(shown(column[policy]) for column in columns), TARGETS.get(policy, "")]
        for policy in columns[0]
        if any(column[policy] for column in columns)
    ]


def shown(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in spread(values)) if values else ""


def count_rows(sets: Mapping[str, Sequence[Measured]]) -> Sequence[Sequence[str]]:
    """Return in how many cells of each set a required relation does not hold, and where LiteLLM is compared."""
    counts = [counts_of(measured) for measured in sets.values()]
    targets = {
        "more than 1.20 times best rule": "0",
        "more than 1.10 times best LiteLLM": "0",
        "of these, product not cheaper": "0",
    }
    return [[name, *(str(each[name]) for each in counts), targets.get(name, "")] for name in counts[0]]


def counts_of(measured: Sequence[Measured]) -> Mapping[str, int]:
    """Return how many cells there are of each kind."""
    rivals = [each.costs for each in measured if BEST_LITELLM in each.costs]
    dear = [each for each in rivals if each[BEST_LITELLM].multiple > DEAR_LITELLM]
    return {
        "more than 1.20 times best rule": sum(each > MOST_BY_RULE for each in by_rival(measured, BEST_RULE)),
        "with LiteLLM": len(rivals),
        "more than 1.10 times best LiteLLM": sum(each > MOST_BY_LITELLM for each in by_rival(measured, BEST_LITELLM)),
        "LiteLLM above 1.10": len(dear),
        "of these, product not cheaper": sum(each[PRODUCT].multiple >= each[BEST_LITELLM].multiple for each in dear),
        "turns failed": sum(each.outcome.misses for each in measured),
        "starts": sum(each.outcome.lives for each in measured),
        "unused starts": sum(each.outcome.wasted for each in measured),
    }
