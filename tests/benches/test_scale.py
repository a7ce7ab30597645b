"""Do worker processes get in each other's way? In virtual time, so the figures repeat on every machine."""

import pytest

from benches.routing.decisions import store_calls
from benches.scale.virtual import virtual_figures
from tests.fakes.clocks import in_no_time

MOST_CONFLICTS = 0.2
MOST_GROWTH = 1.2
STORE_S = 0.01


@pytest.mark.parametrize(("added_s", "claims_memory"), [(0.0, False), (STORE_S, False), (STORE_S, True)])
def test_turns_of_four_workers_rarely_conflict(added_s: float, *, claims_memory: bool) -> None:
    found = virtual_figures(24, turns=1, added_s=added_s, claims_memory=claims_memory)
    assert found.conflicts_per_turn <= MOST_CONFLICTS, found


def test_a_turn_among_many_calls_the_store_hardly_more_often_than_one_among_few() -> None:
    few, many = (virtual_figures(concurrent, turns=1, added_s=STORE_S) for concurrent in (4, 24))
    assert many.calls_per_turn <= MOST_GROWTH * few.calls_per_turn, (few, many)


@pytest.mark.parametrize("backends", [2, 20])
def test_a_decision_costs_the_same_calls_of_the_store_at_any_number_of_backends(backends: int) -> None:
    reads, writes = in_no_time(store_calls(backends))
    assert (reads, writes) == (3, 1)
