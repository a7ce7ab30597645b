"""Does the benchmark of routing run the product, and are its figures right?"""

import math
from copy import replace
from itertools import product as combinations
from pathlib import Path
from random import Random

import pytest

from benches.routing.arrivals import PATTERNS, Arrivals
from benches.routing.cells import Cell
from benches.routing.comparison import RULES, measure
from benches.routing.demand import counted_requests, demand_of, terms_of
from benches.routing.optimum import controlled_optimum, drawn_optimum, optimum
from benches.routing.product import simulate
from benches.routing.reports.plots import COLOURS, plot, position
from benches.routing.reports.results import Measured
from domain.routing.rules.replay import ALWAYS, NEVER, PastDemand, SessionTerms, replay
from tests.checks import every

CELL = Cell(
    name="small",
    arrivals=Arrivals(source="quarters", requests=60, seed=3, per_hour=200),
    start_s=20,
    spread=0.0,
    idle_s=60,
)
TERMS = SessionTerms(second_usd=1.0, start_s=2.0, idle_s=5.0)


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(CELL)


def test_the_ledger_of_a_run_equals_what_the_services_bill(measured: Measured) -> None:
    outcome = measured.outcome
    assert outcome.lives >= 1
    assert outcome.misses == 0
    assert outcome.ledger_usd == pytest.approx(outcome.bill_usd, rel=0.01)


def test_a_run_repeats(measured: Measured) -> None:
    assert simulate(CELL) == measured.outcome


def test_no_policy_beats_the_optimum(measured: Measured) -> None:
    assert every(cost.multiple >= 0.999 for cost in measured.costs.values()), measured.costs


def test_the_last_requests_count() -> None:
    requests = CELL.arrivals.draw()
    assert len(counted_requests(requests)) == 24
    assert counted_requests(requests)[-1] is requests[-1]


@pytest.mark.parametrize("source", [*PATTERNS, "40"])
def test_arrivals_are_in_order_and_repeat(source: str) -> None:
    arrivals = Arrivals(source=source, requests=200, seed=1, per_hour=100)
    requests = arrivals.draw()
    assert requests == arrivals.draw()
    assert 150 <= len(requests) <= 250
    assert list(requests) == sorted(requests, key=lambda each: each.at)
    assert every(each.input_tokens > 0 and each.output_tokens > 0 for each in requests)


def test_the_optimum_is_the_least_cost_also_where_turns_overlap() -> None:
    random = Random(1)  # noqa: S311 - draws demand
    for _ in range(150):
        starts, idles = random.choice([1.0, 5.0, 20.0]), random.choice([2.0, 10.0, 40.0])
        terms, at, demand = SessionTerms(second_usd=0.5, start_s=starts, idle_s=idles), 0.0, list[PastDemand]()
        for _ in range(random.randint(1, 6)):
            at += random.choice([0.5, 1.0, 3.0, 10.0, 30.0])
            demand.append(PastDemand(at, random.choice([1.0, 5.0, 20.0]), random.choice([0.5, 2.0, 9.0, 25.0])))
        assert optimum(demand, terms) == pytest.approx(least(demand, terms, idles, terms.price))
        assert controlled_optimum(demand, terms) == pytest.approx(least(demand, terms, math.inf, 0.5 * starts))


@pytest.mark.parametrize("stays_s", [2.0, 10.0, math.inf])
def test_an_optimum_that_knows_each_start_is_the_least_cost_of_all_choices(stays_s: float) -> None:
    random = Random(2)  # noqa: S311 - draws demand
    for _ in range(100):
        starts = [random.choice([1.0, 5.0, 20.0]) for _ in range(5)]
        terms, at, demand = SessionTerms(second_usd=0.5, start_s=5.0, idle_s=stays_s), 0.0, list[PastDemand]()
        for _ in starts:
            at += random.choice([0.5, 3.0, 10.0, 30.0])
            demand.append(PastDemand(at, random.choice([1.0, 5.0, 20.0]), random.choice([0.5, 2.0, 9.0, 25.0])))
        same = optimum(demand, terms) if math.isfinite(stays_s) else controlled_optimum(demand, terms)
        known = drawn_optimum(demand, terms, starts, stays_s=stays_s)
        assert known == pytest.approx(least_drawn(demand, terms, starts, stays_s))
        assert drawn_optimum(demand, terms, [5.0] * 5, stays_s=stays_s) == pytest.approx(same)
        assert known == pytest.approx(drawn_optimum(demand, terms, starts, stays_s=stays_s, idle_since=-1e9))


def least_drawn(demand: list[PastDemand], terms: SessionTerms, starts: list[float], stays_s: float) -> float:
    """Return the least cost of every choice for each turn: the API, a start, or the session that is open."""
    idle_s = stays_s if math.isfinite(stays_s) else 0.0
    states = [(0, -math.inf, 0.0)]
    for turn in demand:
        after = list[tuple[int, float, float]]()
        for number, ends, cost in states:
            after.append((number, ends, cost + turn.saved))
            begins = turn.at + starts[number] + turn.busy_s
            after.append((number + 1, begins, cost + terms.second_usd * (starts[number] + idle_s + turn.busy_s)))
            if number and turn.at <= ends + stays_s:
                later = max(ends, turn.at + turn.busy_s)
                after.append((number, later, cost + terms.second_usd * (later - ends)))
        states = after
    return min(cost for _, _, cost in states)


def least(demand: list[PastDemand], terms: SessionTerms, stays_s: float, price: float) -> float:
    """Return the least cost of every choice: which turns the GPU serves, and which of them start it anew."""
    return min(
        sum(turn.saved for rents, turn in zip(choice, demand, strict=True) if rents)
        + min(served([turn for rents, turn in zip(choice, demand, strict=True) if not rents], terms, stays_s, price))
        for choice in combinations((True, False), repeat=len(demand))
    )


def served(turns: list[PastDemand], terms: SessionTerms, stays_s: float, price: float) -> list[float]:
    states = [(-math.inf, 0.0)]
    for turn in turns:
        begun = [
            (turn.at + terms.start_s + turn.busy_s, cost + price + terms.second_usd * turn.busy_s) for _, cost in states
        ]
        joined = [
            (max(ends, turn.at + turn.busy_s), cost + terms.second_usd * max(0.0, turn.at + turn.busy_s - ends))
            for ends, cost in states
            if turn.at <= ends + stays_s
            if ends > -math.inf
        ]
        states = begun + joined
    return [cost for _, cost in states]


def test_the_optimum_is_the_least_cost_of_all_choices() -> None:
    random = Random(5)  # noqa: S311 - draws demand
    for _ in range(60):
        times = sorted(random.uniform(0, 30) for _ in range(6))
        demand = [PastDemand(at, random.uniform(0.5, 6), random.uniform(0.1, 1)) for at in times]
        assert optimum(demand, TERMS) <= min(costs(demand)) + 1e-9


def costs(demand: list[PastDemand]) -> list[float]:
    """Return the cost of every choice of API or GPU for each turn, where turns wait for a start."""
    found: list[float] = []
    for choice in combinations((True, False), repeat=len(demand)):
        dollars, expiry, began = 0.0, float("-inf"), 0.0
        for rents, turn in zip(choice, demand, strict=True):
            if rents:
                dollars += turn.saved
                continue
            if turn.at >= expiry:
                dollars += 0.0 if expiry == float("-inf") else (expiry - began) * TERMS.second_usd
                began, expiry = turn.at, turn.at + TERMS.start_s + TERMS.idle_s
            ready = max(turn.at, began + TERMS.start_s)
            expiry = max(expiry, ready + turn.busy_s + TERMS.idle_s)
        found.append(dollars + (0.0 if expiry == float("-inf") else (expiry - began) * TERMS.second_usd))
    return found


def test_never_pays_the_api_and_always_pays_the_machine() -> None:
    demand = demand_of(CELL, CELL.arrivals.draw())
    assert replay(demand, NEVER, terms_of(CELL)).dollars == pytest.approx(sum(each.saved for each in demand))
    assert replay(demand, ALWAYS, terms_of(CELL)).dollars >= optimum(demand, terms_of(CELL))
    assert every(replay(demand, rule, terms_of(CELL)).dollars >= optimum(demand, terms_of(CELL)) for rule in RULES)


def test_a_plot_has_a_row_for_each_cell(tmp_path: Path) -> None:
    multiples = dict.fromkeys(COLOURS, 1.5)
    plot([("one & two", multiples), ("three", multiples)], tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert text.count("<circle") == 3 * len(COLOURS)
    assert "one &amp; two" in text
    assert position(1.0) < position(1.5) < position(20.0) == position(400.0)


def test_a_counted_gpu_is_ended_by_the_product_and_ledger_and_bill_agree() -> None:
    outcome = simulate(replace(CELL, counted=True))
    assert (outcome.misses, outcome.wasted) == (0, 0)
    assert outcome.lives > 1
    assert outcome.ledger_usd == pytest.approx(outcome.bill_usd, rel=0.005)
