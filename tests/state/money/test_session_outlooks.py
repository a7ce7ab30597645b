"""For which of a turn's records is there an outlook, and who else shares its session?"""

from copy import replace
from decimal import Decimal

import pytest

from clients.storage.port import Create
from domain.fleet.catalog import Fleet, Model
from domain.money.ledger_records import AttemptRecord
from state.fleet.state_documents import backend_key
from state.money import session_outlooks
from state.money.session_documents import span_prefix
from state.money.session_outlooks import SessionOutlooks, open_shares
from tests.fakes.clocks import START
from tests.state.money.test_gpu_sessions import ANNE, BEN, GPU, House, Process

FLEET = Fleet(models={"model": Model(name="model", context_tokens=4096, tier=1)}, backends={"gpu": GPU})


@pytest.fixture
async def process() -> Process:
    """An open session of two turns of Anne and one of Ben, all of which have ended."""
    process = House().process()
    for name, owner, began in (("resp_1", ANNE, 0), ("resp_2", ANNE, 5), ("resp_3", BEN, 10)):
        await process.attempt(name, owner, began, began + 20)
    return process


def outlooks(process: Process, fleet: Fleet = FLEET) -> SessionOutlooks:
    return SessionOutlooks(store=process.store, sessions=process.sessions, fleet=fleet, clock=process.house.clock)


async def record_of(process: Process, response: str) -> AttemptRecord:
    return next(each for each in await process.records(ANNE) if each.response == response)


async def test_a_turn_sees_its_owners_turns_by_name_and_counts_the_others(process: Process) -> None:
    record = await record_of(process, "resp_1")
    (found,) = await outlooks(process).of(ANNE, [record])
    assert (found.records, found.responses, found.others) == ((record,), ("resp_1", "resp_2"), 1)
    expected = sum((found.outlook.expected_of(each) for each in found.outlook.expected), Decimal(0))
    assert expected == pytest.approx(found.outlook.in_all, abs=Decimal("1e-8"))
    assert found.outlook.ends_at == START + 30 + GPU.cold_start.idle_s


async def test_a_record_without_an_open_share_has_no_outlook(process: Process) -> None:
    record = await record_of(process, "resp_1")
    shares = {name: replace(share, final=True) for name, share in record.charge.shares.items()}
    settled = replace(record, charge=replace(record.charge, shares=shares))
    assert (open_shares(settled), len(open_shares(record))) == (frozenset(), 1)
    assert await outlooks(process).of(ANNE, [settled]) == ()


async def test_a_backend_that_left_the_fleet_has_no_outlook(process: Process) -> None:
    record = await record_of(process, "resp_1")
    assert await outlooks(process, Fleet(models=FLEET.models, backends={})).of(ANNE, [record]) == ()


async def test_a_session_of_many_members_or_with_a_damaged_part_has_no_outlook(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await record_of(process, "resp_1")
    with monkeypatch.context() as few:
        few.setattr(session_outlooks, "MAX_MEMBERS", 2)
        assert await outlooks(process).of(ANNE, [record]) == ()
    session = (await process.sessions.current(GPU)).session
    assert session is not None
    damaged = Create(id=f"{span_prefix(session.id)}x", body={"odd": 1})
    await process.store.commit(backend_key(GPU), (damaged,))
    assert await outlooks(process).of(ANNE, [record]) == ()
