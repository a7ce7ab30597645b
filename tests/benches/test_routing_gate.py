"""Does routing still cost as little as recorded? Virtual time repeats, so this is no timed test."""

from collections.abc import Mapping
from copy import replace
from typing import Any

import pytest

from benches.routing.cells import GPT_4O, MINI, SMALLEST, Cell, drawn
from benches.routing.gate import GATE, SECOND_GPU, figures, is_within, recorded
from benches.routing.product import simulate

START_TOLERANCE = 0.15
"""A start that was seen three times is known to this share of its true median."""


@pytest.mark.slow
@pytest.mark.parametrize("cell", GATE, ids=[cell.name for cell in GATE])
def test_a_cell_costs_no_more_than_recorded(cell: Cell) -> None:
    known = recorded()[cell.name]
    outcome = simulate(cell)
    assert is_within(figures(outcome), known), (figures(outcome), known)
    assert all(error <= START_TOLERANCE for error in outcome.start_errors), (
        outcome.start_errors
    )  # may be empty: few starts
    assert outcome.ledger_usd == pytest.approx(outcome.bill_usd, rel=0.02, abs=0.001)


def test_figures_above_the_recorded_ones_fail() -> None:
    known = {"dollars": 1.0, "waited_s": 100.0, "misses": 2}
    assert is_within({"dollars": 1.05, "waited_s": 165.0, "misses": 2}, known)
    assert not is_within({**known, "dollars": 1.06}, known)
    assert not is_within({**known, "waited_s": 166.0}, known)
    assert not is_within({**known, "misses": 3}, known)


@pytest.mark.slow
def test_a_second_idle_gpu_costs_nothing() -> None:
    two = next(cell for cell in GATE if cell.name == SECOND_GPU)
    assert recorded()[two.name] == figures(simulate(replace(two, gpus=1)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{"gpus": 2}, {"more_apis": (GPT_4O,)}, {"more_apis": (SMALLEST,)}, {"box_room": 2}], ids=str
)
def test_another_backend_never_makes_the_fleet_dearer(more: Mapping[str, Any]) -> None:
    small = Cell(name="small", arrivals=drawn("fives", 120, 300, seed=5), api=MINI, start_s=20, idle_s=60)
    small = replace(small, gpu_hour_usd=0.32)
    assert simulate(replace(small, **more)).bill_usd <= simulate(small).bill_usd * 1.0001
