"""Is an event one turn with one delivery, wherever the process crashes, however often and late the event arrives?"""

from collections.abc import Mapping
from contextlib import suppress
from random import Random

import pytest

from api.pipelines.functions import new_run
from domain.log.events import ResponseStatus
from domain.pipelines.event_run import RunStatus
from tests.api.harness import Api
from tests.api.pipelines.events import ANSWER, APP, TICKETS, TO_WEBHOOK, piped
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore

DIGEST = "d" * 64
EVENT_ID = f"event_tickets_{DIGEST}"


def process(store: MemoryStore, clock: FakeClock, model: FakeBackend, faults: Mapping[int, Fault]) -> Api:
    """Return a new process over the same store, which crashes at some of its calls."""
    flaky = FlakyStore(store, Random(0), Faults(at=faults))  # noqa: S311 - no secret
    return piped(model=model, sink=TO_WEBHOOK, store=flaky, clock=clock)


async def arrives(one: Api) -> None:
    run = new_run(TICKETS, DIGEST, "My lamp is broken.", one.world.clock)
    await one.world.app.pipelines.turns.begin(run, one.orchestrations)
    await one.orchestrations.ended()


async def ends(one: Api) -> None:
    """Do what follows the end of the turn."""
    run = await one.world.app.pipelines.turns.runs.find(APP, EVENT_ID)
    assert run is not None
    ended = await one.world.turns.read(APP, run.response)
    await one.world.app.follow_ups.after_event(ended, one.orchestrations)


def calls_of(one: Api) -> int:
    assert isinstance(one.world.store, FlakyStore)
    return len(one.world.store.calls)


async def outcome(store: MemoryStore, clock: FakeClock, model: FakeBackend) -> None:
    """Let the event arrive again and the timer run; check that there is one turn and one delivery, which arrives."""
    one = process(store, clock, model, {})
    clock.advance(1)
    for _ in range(4):
        await arrives(one)
    clock.advance(31)
    await one.world.app.maintenance.pipeline_sweep.run(one.orchestrations)
    await one.orchestrations.ended()
    run = await one.world.app.pipelines.turns.runs.find(APP, EVENT_ID)
    assert run is not None
    turn = await one.world.turns.read(APP, run.response)
    assert turn.status is ResponseStatus.COMPLETED
    (delivery,) = await one.world.app.state.webhook_outbox.of(APP, turn.id)
    await one.world.app.state.webhook_outbox.close(delivery, "accepted")
    for _ in range(2):
        await one.world.app.maintenance.pipeline_sweep.run(one.orchestrations)
    run = await one.world.app.pipelines.turns.runs.find(APP, EVENT_ID)
    assert run is not None
    assert run.status is RunStatus.DONE
    assert len(model.calls) == 1
    partitions = [row.document.body for rows in store.partitions.values() for row in rows.values()]
    assert sum(body["kind"] == "response" for body in partitions) == 1


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
async def test_a_crash_at_any_call_of_the_store_while_an_event_arrives_changes_nothing(fault: Fault) -> None:
    number, calls = 0, 1
    while number < calls:
        clock = FakeClock()
        store, model = MemoryStore(clock), FakeBackend(says(ANSWER))
        one = process(store, clock, model, {number: fault})
        one.orchestrations.hold = True
        with suppress(CrashError):
            await arrives(one)
        await outcome(store, clock, model)
        number, calls = number + 1, max(calls, calls_of(one) + 1)
    assert calls > 6


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
async def test_a_crash_at_any_call_of_the_store_after_the_turn_changes_nothing(fault: Fault) -> None:
    number, calls = 0, 1
    while number < calls:
        clock = FakeClock()
        store, model = MemoryStore(clock), FakeBackend(says(ANSWER))
        await arrives(process(store, clock, model, {}))
        one = process(store, clock, model, {number: fault})
        with suppress(CrashError):
            await ends(one)
        await outcome(store, clock, model)
        number, calls = number + 1, max(calls, calls_of(one) + 1)
    assert calls > 3
