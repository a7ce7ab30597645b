"""Does a writer write only until another writer takes the log over?"""

from random import Random

import pytest

from activities.inference.log_writer import LogWriter, Superseded
from domain.errors import Retryable, UnknownOutcome
from domain.log.events import AttemptOutcome, EventKind, LogEvent, ResponseStatus
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, World

QUEUED = (LogEvent(kind=EventKind.QUEUED),)


@pytest.fixture
def world() -> World:
    clock = FakeClock()
    return World(store=MemoryStore(clock), clock=clock, backends={})


async def writer(world: World, response: Response, attempt: int = 1) -> LogWriter:
    log = await world.log(response)
    return LogWriter(world.turns, world.clock, owner=OWNER, response_id=response.id, log=log, attempt=attempt)


async def test_a_writer_takes_over_with_a_fence_and_continues_the_numbering(world: World) -> None:
    response = await world.admit("hello")
    one = await writer(world, response)
    await one.take_over()
    await one.write(QUEUED, pieces=3)
    await one.write((), outcome=AttemptOutcome(attempt=1, result="done"))
    slots = (await world.turns.slots(OWNER, response.id))[1:]
    assert [(slot.number, slot.first, len(slot.events), slot.pieces) for slot in slots] == [
        (1, 1, 0, 0),
        (2, 1, 1, 3),
        (3, 2, 0, 0),
    ]
    assert {slot.writer for slot in slots} == {one.writer}
    assert one.log == await world.log(response)


async def test_only_the_writer_that_took_over_last_can_write(world: World) -> None:
    response = await world.admit("hello")
    one, other = await writer(world, response), await writer(world, response)
    await one.take_over()
    await other.take_over()
    slots = await world.turns.slots(response.owner, response.id)
    assert sum(not slot.events and slot.outcome is None for slot in slots) == 2
    for write in (
        one.write(QUEUED),
        one.write((), outcome=AttemptOutcome(attempt=1, result="done")),
        one.check_not_superseded(),
    ):
        with pytest.raises(Superseded):
            await write
    await other.check_not_superseded()
    await other.write(QUEUED)


async def test_a_log_that_has_ended_cannot_be_taken_over(world: World) -> None:
    response = await world.admit("hello")
    late = await writer(world, response)
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    with pytest.raises(Superseded):
        await late.take_over()
    with pytest.raises(Superseded):
        await (await writer(world, response)).take_over()
    assert late.log.ending
    assert late.log.ending.status is ResponseStatus.CANCELLED


@pytest.mark.parametrize(("outcome", "late", "taken"), [(1, 1, False), (2, 1, False), (1, 2, True)])
async def test_a_run_can_take_over_until_its_attempt_has_an_outcome(
    world: World, *, outcome: int, late: int, taken: bool
) -> None:
    response = await world.admit("hello")
    slow, quick = await writer(world, response, late), await writer(world, response, outcome)
    await quick.take_over()
    await quick.write((), outcome=AttemptOutcome(attempt=outcome, result="done"))
    try:
        await slow.take_over()
    except Superseded:
        assert not taken
    else:
        assert taken


async def test_an_ending_stops_a_writer_at_its_next_write_and_its_next_check(world: World) -> None:
    response = await world.admit("hello")
    one = await writer(world, response)
    await one.take_over()
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    with pytest.raises(Superseded):
        await one.check_not_superseded()
    with pytest.raises(Superseded):
        await one.write(QUEUED)


async def test_two_writers_have_different_names(world: World) -> None:
    response = await world.admit("hello")
    assert (await writer(world, response)).writer != (await writer(world, response)).writer


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_AFTER])
async def test_a_writer_whose_write_failed_cannot_write_again(world: World, fault: Fault) -> None:
    response = await world.admit("hello")
    one = await writer(world, response)
    await one.take_over()
    flaky = FlakyStore(world.store, Random(0), Faults(rate=1.0, kinds=(fault,)))  # noqa: S311 - a test's seed
    one.turns = TurnStore(flaky, world.clock, WebhookEndpoints())
    with pytest.raises(Retryable):
        await one.write(QUEUED)
    one.turns = world.turns
    for write in (one.write((LogEvent(kind=EventKind.STARTED),)), one.take_over()):
        with pytest.raises(UnknownOutcome):
            await write
    kinds = [event.kind for slot in await world.turns.slots(OWNER, response.id) for event in slot.events]
    assert EventKind.STARTED not in kinds
    successor = await writer(world, response)
    await successor.take_over()
    await successor.write((LogEvent(kind=EventKind.STARTED),))
