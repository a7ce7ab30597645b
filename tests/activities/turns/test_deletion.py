"""Does a turn end and is it billed where its response is deleted while it runs?"""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from activities.guard import tolerate_deletion
from clients.backends.port import TextPiece
from domain.errors import NotFound
from domain.money.attempt_charge import AttemptStatus
from domain.money.ledger_records import ReservationStatus
from domain.wire import BEGIN, FINISH, INFER, ROUTE, TRY_RECALL
from state.retention.deletion import Retention
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend

ATTEMPTS_AFTER_DELETION = {BEGIN: 0, TRY_RECALL: 0, ROUTE: 0, INFER: 0, FINISH: 1}
"""How many attempts the ledger has, by the step that the deletion comes before."""


@pytest.mark.parametrize("deleted_before", ATTEMPTS_AFTER_DELETION)
async def test_a_deletion_before_any_step_fails_no_step_and_leaves_nothing_open(deleted_before: str) -> None:
    clock = FakeClock()
    main = (backend("main"), FakeBackend(says("one two three")))
    world = World(store=MemoryStore(clock), clock=clock, backends={"main": main})
    response = await world.admit("count")
    executed: list[str] = []

    async def delete_and_execute(name: str, request: Any) -> Any:
        executed.append(name)
        if name == deleted_before:
            with suppress(NotFound):
                await Retention(world.store, world.turns, clock).delete_response(OWNER, response.id)
        return await tolerant[name](request)

    tolerant = {name: tolerate_deletion(name, step) for name, step in world.steps.items()}
    world.steps = {name: lambda request, name=name: delete_and_execute(name, request) for name in tolerant}
    await world.run(response)
    assert executed.count(deleted_before) == 1
    attempts = await world.ledger.attempts(OWNER, response.id)
    assert [each.charge.status for each in attempts] == [AttemptStatus.CLOSED] * ATTEMPTS_AFTER_DELETION[deleted_before]
    reservation = await world.ledger.reservation(OWNER, response.id)
    assert reservation is not None
    assert (reservation.status is ReservationStatus.SETTLED) == (deleted_before != BEGIN)


async def test_another_missing_object_fails_the_step() -> None:
    async def step(_request: Any) -> None:
        raise NotFound("an item is missing")

    with pytest.raises(NotFound):
        await tolerate_deletion(ROUTE, step)({})


async def test_a_deletion_while_the_answer_streams_ends_the_attempt_and_charges_for_the_text_so_far() -> None:
    clock, resume = FakeClock(), asyncio.Event()
    main = (backend("main"), FakeBackend([TextPiece(text="one"), resume, TextPiece(text=" two")]))
    world = World(store=MemoryStore(clock), clock=clock, backends={"main": main})
    world.steps = {name: tolerate_deletion(name, step) for name, step in world.steps.items()}
    response = await world.admit("count")
    running = asyncio.ensure_future(world.run(response))
    while not (await world.log(response)).items:
        await world.turns.wait_for_slot(response.id, within_s=1)
    await Retention(world.store, world.turns, clock).delete_response(OWNER, response.id)
    resume.set()
    await asyncio.wait_for(running, 60)
    [attempt] = await world.ledger.attempts(OWNER, response.id)
    assert (attempt.charge.status, attempt.progress.result) == (AttemptStatus.CLOSED, "ended")
    reservation = await world.ledger.reservation(OWNER, response.id)
    assert reservation is not None
    assert reservation.status is ReservationStatus.SETTLED
