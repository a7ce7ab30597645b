"""Does a replay cost what the rule would have done, and is the chosen rule the cheapest of bounded ones?"""

import math
from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.routing.rent_or_buy import DEFAULT_RULE, Rule
from domain.routing.rules.replay import ALWAYS, NEVER, PLAIN, PastDemand, SessionTerms, replay
from domain.routing.rules.rule_choice import (
    DAY_S,
    ENOUGH_TURNS,
    RULES,
    SHORTEST_IDLE_S,
    SHORTEST_START_S,
    ObservedDemand,
    RuleChoice,
    choose_rule,
    rules_for,
)

TERMS = SessionTerms(second_usd=0.001, start_s=20.0, idle_s=100.0)
"""A session without work costs $0.12."""

NOW = 1_800_000_000.0

demands = st.lists(
    st.builds(PastDemand, st.floats(0, 5000), st.floats(0.0, 0.2), st.floats(0.0, 30.0)), max_size=40
).map(lambda found: sorted(found, key=lambda turn: turn.at))


def turns(*times: float, saved: float = 0.05) -> list[PastDemand]:
    return [PastDemand(at, saved, 1.0) for at in times]


def bursts(days: int, *, size: int, saved: float) -> ObservedDemand:
    """Return a burst of turns every six hours, one turn every two seconds."""
    parts = [PastDemand(6 * 3600 * burst + 2 * turn, saved, 1.0) for burst in range(4 * days) for turn in range(size)]
    return ObservedDemand(parts, len(parts))


def test_a_session_is_bought_when_the_spend_of_the_window_reaches_its_price() -> None:
    found = replay(turns(0, 10, 20), PLAIN, TERMS)
    assert found.dollars == pytest.approx(0.05 + 0.05 + 0.001 * (20 + 1 + 100))
    assert found.warm_until == 20 + 20 + 1 + 100
    assert replay(turns(0, 10, 200), PLAIN, TERMS).dollars == pytest.approx(0.15)


def test_a_gpu_that_is_up_is_kept_by_its_own_multiple() -> None:
    late = turns(0, 10, 20, 135)
    kept = replay(late, Rule(1.0, 0.3, 1.0), TERMS)
    released = replay(late, Rule(1.0, 2.0, 1.0), TERMS)
    assert kept.warm_until == 135 + 1 + 100
    assert released.warm_until == 141
    assert kept.dollars - released.dollars == pytest.approx(0.001 * 95 - 0.05)


def test_a_turn_that_costs_less_than_it_saves_on_a_gpu_that_is_up_goes_there() -> None:
    assert replay(turns(0, 10, 20, 30), Rule(1.0, math.inf, 1.0), TERMS).dollars == pytest.approx(
        replay(turns(0, 10, 20, 30), PLAIN, TERMS).dollars
    )


@given(demands)
def test_never_pays_for_no_machine_and_always_for_nothing_else(demand: list[PastDemand]) -> None:
    assert replay(demand, NEVER, TERMS).dollars == pytest.approx(sum(turn.saved for turn in demand))
    machine = replay([turn._replace(saved=9.0) for turn in demand], ALWAYS, TERMS)
    assert replay(demand, ALWAYS, TERMS).dollars == pytest.approx(machine.dollars)


@given(demands, st.sampled_from(RULES))
def test_demand_that_saves_nothing_starts_nothing(demand: list[PastDemand], rule: Rule) -> None:
    assert replay([turn._replace(saved=0.0) for turn in demand], rule, TERMS).dollars == 0.0


@pytest.mark.parametrize(
    ("demand", "why"),
    [
        (ObservedDemand((), 0), "too few turns to choose another rule: 0 in 0.0 days"),
        (bursts(10, size=2, saved=0.03), "too few"),
        (bursts(2, size=60, saved=0.03), "too few"),
    ],
)
def test_the_default_rule_stays_until_there_are_three_days_and_enough_turns(demand: ObservedDemand, why: str) -> None:
    found = choose_rule(demand, TERMS, now=NOW)
    assert found.rule == DEFAULT_RULE
    assert why in found.reason
    assert not found.dollars


def test_long_bursts_are_bought_early_and_short_ones_late() -> None:
    long = choose_rule(bursts(10, size=60, saved=0.03), TERMS, now=NOW)
    assert long.rule.threshold == 0.3
    assert long.dollars["adopted"] < long.dollars["default"] < long.dollars["never"]
    short = choose_rule(bursts(10, size=6, saved=0.0201), TERMS, now=NOW)
    assert short.rule.threshold > 1
    assert short.dollars["adopted"] == short.dollars["never"] < short.dollars["always"] < short.dollars["default"]


@given(demands)
def test_no_rival_among_the_rules_is_clearly_cheaper(demand: list[PastDemand]) -> None:
    spread = [turn._replace(at=turn.at * 100) for turn in demand]
    found = choose_rule(ObservedDemand(spread, ENOUGH_TURNS), TERMS, now=NOW)
    if found.dollars:
        least = min(replay(spread, rule, TERMS).dollars for rule in RULES)
        assert found.dollars["adopted"] * 0.98 <= least + 1e-5
        assert 0.3 <= found.rule.threshold <= 2.5


def test_a_rule_is_chosen_again_after_a_day_and_when_the_price_changes() -> None:
    found = choose_rule(bursts(10, size=60, saved=0.03), TERMS, now=NOW)
    assert not found.is_due(NOW + DAY_S - 1, 0.001)
    assert found.is_due(NOW + DAY_S, 0.001)
    assert found.is_due(NOW, 0.002)
    assert RuleChoice.from_document(found.to_document()) == found
    assert replace(found, at=0.0) != found


@pytest.mark.parametrize(("gap_s", "idle_s"), [(300, SHORTEST_IDLE_S), (3, 2.4)])
def test_a_gpu_that_the_product_ends_is_kept_for_as_long_as_the_gaps_are_worth_it(gap_s: int, idle_s: float) -> None:
    """Where gaps are long it ends at once; else it is kept until the next turn, and no longer."""
    parts = [PastDemand(6 * 3600 * burst + gap_s * turn, 0.1, 1.0) for burst in range(40) for turn in range(20)]
    held = replace(TERMS, wait_s=TERMS.start_s)
    found = choose_rule(ObservedDemand(parts, len(parts)), held, now=NOW)
    assert found.rule.idle_s == pytest.approx(idle_s)
    assert found.dollars["adopted"] <= found.dollars["default"]


def test_no_idle_period_is_longer_than_a_start_or_shorter_than_a_second() -> None:
    for start_s in (1.0, 20.0, 300.0):
        periods = {rule.idle_s for rule in rules_for(replace(TERMS, wait_s=start_s)) if rule.idle_s is not None}
        assert min(periods) == SHORTEST_IDLE_S
        assert max(periods) == max(start_s, SHORTEST_START_S)
