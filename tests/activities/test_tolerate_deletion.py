"""Does a turn come to its end, and to its bill, whose response is deleted under it?"""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from activities.tolerate_deletion import tolerate_deletion
from clients.backends.port import TextPiece
from domain.errors import NotFound
from domain.money.ledger_records import AttemptStatus, ReservationStatus
from domain.wire import BEGIN, FINISH, INFER, ROUTE, TRY_RECALL
from state.retention.deletion import Retention
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend


@pytest.mark.parametrize("deleted_before", [BEGIN, TRY_RECALL, ROUTE, INFER, FINISH])
async def test_a_deletion_before_any_step_fails_none_and_leaves_nothing_open(deleted_before: str) -> None:
    clock = FakeClock()
    main = (backend("main"), FakeBackend(says("one two three")))
    one = World(store=MemoryStore(clock), clock=clock, backends={"main": main})
    response = await one.admit("count")
    asked: list[str] = []

    async def doing(name: str, given: Any) -> Any:
        asked.append(name)
        if name == deleted_before:
            with suppress(NotFound):
                await Retention(one.store, one.turns, clock).delete_response(OWNER, response.id)
        return await usual[name](given)

    usual = {name: tolerate_deletion(name, step) for name, step in one.steps.items()}
    one.steps = {name: lambda given, name=name: doing(name, given) for name in usual}
    await one.run(response)
    assert asked.count(deleted_before) == 1
    attempts = await one.ledger.attempts(OWNER, response.id)
    assert all(each.status is AttemptStatus.CLOSED for each in attempts)
    held = await one.ledger.reservation(OWNER, response.id)
    assert held is not None
    assert (held.status is ReservationStatus.SETTLED) == (deleted_before != BEGIN)


async def test_another_object_that_is_missing_fails_the_step() -> None:
    async def step(_given: Any) -> None:
        raise NotFound("an item is missing")

    with pytest.raises(NotFound):
        await tolerate_deletion(ROUTE, step)({})


async def test_a_deletion_in_mid_answer_ends_the_attempt_at_what_it_said() -> None:
    clock, goes_on = FakeClock(), asyncio.Event()
    main = (backend("main"), FakeBackend([TextPiece(text="one"), goes_on, TextPiece(text=" two")]))
    one = World(store=MemoryStore(clock), clock=clock, backends={"main": main})
    one.steps = {name: tolerate_deletion(name, step) for name, step in one.steps.items()}
    response = await one.admit("count")
    running = asyncio.ensure_future(one.run(response))
    while not (await one.log(response)).items:
        await one.turns.changed(response.id, within_s=1)
    await Retention(one.store, one.turns, clock).delete_response(OWNER, response.id)
    goes_on.set()
    await asyncio.wait_for(running, 10)
    [attempt] = await one.ledger.attempts(OWNER, response.id)
    assert (attempt.status, attempt.result) == (AttemptStatus.CLOSED, "ended")
    held = await one.ledger.reservation(OWNER, response.id)
    assert held is not None
    assert held.status is ReservationStatus.SETTLED
