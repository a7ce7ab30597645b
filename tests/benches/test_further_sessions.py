"""Is an instance that was started used, or its warm-up recorded as a loss? Also a further instance of a service."""

from collections.abc import Mapping, Sequence
from copy import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benches.routing.cells import GPU, MODEL, Cell, drawn
from benches.routing.extras.instances import replace_instances
from benches.routing.measured_cells import small
from benches.routing.product import Outcome, VirtualProduct
from domain.money.ledger_records import AttemptRecord
from tests.checks import every
from tests.fakes.clocks import in_no_time
from tests.fakes.worlds import OWNER

REQUESTS = 50


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """Draw bursts on a service of up to three instances with little room."""
    pattern = draw(st.sampled_from(["fives", "quarters"]))
    arrivals = drawn(pattern, REQUESTS, draw(st.sampled_from([1500, 4000, 9000])), seed=draw(st.integers(50, 99)))
    start_s, idle_s = draw(st.sampled_from([5.0, 60.0])), draw(st.sampled_from([20.0, 60.0]))
    cell = small(arrivals, start_s=start_s, idle_s=idle_s, room=draw(st.sampled_from([2, 4])))
    return replace(replace_instances(cell, counted=True), deadline_s=draw(st.sampled_from([90.0, 1800.0])))


async def run(cell: Cell, model: str) -> tuple[Outcome, Sequence[AttemptRecord]]:
    """Return the outcome of a cell with all records of its turns."""
    product = VirtualProduct(cell=cell, requests=cell.arrivals.draw(), model=model)
    outcome = await product.run()
    ledger, turns = product.world.ledger, [response for _, response, _ in product.ended.values()]
    return outcome, [record for turn in turns for record in await ledger.records(OWNER, turn.id)]


def by_session(records: Sequence[AttemptRecord]) -> Mapping[str, Sequence[AttemptRecord]]:
    """Return the records that have a share of each session."""
    names = {name for record in records for name in record.charge.shares}
    return {name: [record for record in records if name in record.charge.shares] for name in names}


def is_lost(session: str, records: Sequence[AttemptRecord]) -> bool:
    return {each.charge.shares[session].unused for each in records} == {True}


@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(cells(), st.sampled_from([f"{MODEL}@{GPU}", MODEL]))
def test_a_warmed_instance_is_used_or_its_warm_up_is_recorded_as_a_loss(cell: Cell, model: str) -> None:
    outcome, records = in_no_time(run(cell, model))
    sessions = by_session(records)
    assert len(sessions) == outcome.lives
    for session, members in sessions.items():
        is_used = any(not each.is_warm_up for each in members)
        assert is_used != is_lost(session, members), session
        assert every(each.charge.shares[session].final for each in members), session
    assert outcome.ledger_usd == pytest.approx(outcome.bill_usd, rel=0.02, abs=0.0002)


def test_the_drawn_bursts_start_further_instances() -> None:
    arrivals = drawn("fives", REQUESTS, 9000, seed=51)
    cell = replace_instances(small(arrivals, start_s=5, idle_s=60, room=2), counted=True)
    _, records = in_no_time(run(cell, f"{MODEL}@{GPU}"))
    assert len({name.partition("/")[0] for name in by_session(records)}) > 1


def test_a_start_that_no_turn_can_wait_for_is_a_loss() -> None:
    arrivals = drawn("fives", REQUESTS, 1500, seed=50)
    cell = replace_instances(small(arrivals, start_s=60, idle_s=20, room=2), counted=True)
    outcome, records = in_no_time(run(replace(cell, deadline_s=90), MODEL))
    ((session, members),) = by_session(records).items()
    assert (outcome.lives, outcome.wasted, is_lost(session, members)) == (1, 1, True)
