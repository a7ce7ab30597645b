"""Are parallel updates of one backend's state from many instances all kept?"""

import asyncio
from random import Random

import pytest

from clients.clock import SystemClock
from domain.fleet.backend_state import initial_state
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.state_updates import Observation
from state.fleet.backend_state import TRIES, BackendStates
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import backend

MAIN = backend("main")
BROKEN = Diagnosis(failure_class=FailureClass.BROKEN, delay_s=None, reason="status 500")
INSTANCES = 30


def seen(attempt: str) -> Observation:
    return Observation(
        attempt=attempt, started_at=0.0, first_token_at=0.5, ended_at=1.0, input_tokens=1000, output_tokens=100
    )


async def test_a_backend_without_a_document_has_its_initial_state() -> None:
    clock = FakeClock()
    assert await BackendStates(MemoryStore(clock), clock).read({"main": MAIN}) == {"main": initial_state(MAIN)}


async def test_each_backend_has_a_state_of_its_own() -> None:
    clock = FakeClock()
    beliefs, other = BackendStates(MemoryStore(clock), clock), backend("other")
    await beliefs.record_failure(MAIN, BROKEN, "attempt_1")
    believed = await beliefs.read({"main": MAIN, "other": other})
    assert (believed["main"].errors, believed["other"].errors) == (1, 0)


async def test_an_attempt_is_in_flight_from_its_start_to_its_end() -> None:
    clock = FakeClock()
    beliefs = BackendStates(MemoryStore(clock), clock)
    for name in ("one", "two", "three"):
        await beliefs.record_start(MAIN, name, until=clock.now() + 60)
    await beliefs.record_start(MAIN, "three", until=clock.now() + 60)
    await beliefs.record_success(MAIN, seen("one"))
    await beliefs.record_failure(MAIN, BROKEN, "two")
    believed = (await beliefs.read({"main": MAIN}))["main"]
    assert set(believed.in_flight) == {"three"}
    assert believed.prefill_tokens_s > MAIN.speed.prefill_tokens_s


async def test_parallel_updates_of_many_instances_are_all_kept() -> None:
    """In real time: what keeps them out of each other's way is that their pauses differ."""
    clock = SystemClock()
    store = MemoryStore(clock)
    beliefs = [BackendStates(store, clock) for _ in range(INSTANCES)]
    until = clock.now() + 60
    await asyncio.gather(*(one.record_start(MAIN, str(n), until=until) for n, one in enumerate(beliefs)))
    believed = (await beliefs[0].read({"main": MAIN}))["main"]
    assert believed.running(clock.now()) == INSTANCES
    await asyncio.gather(*(one.record_failure(MAIN, BROKEN, str(n)) for n, one in enumerate(beliefs)))
    believed = (await beliefs[0].read({"main": MAIN}))["main"]
    assert (believed.running(clock.now()), believed.errors) == (0, INSTANCES)


@pytest.mark.parametrize("number", range(20))
async def test_an_update_whose_reply_is_lost_is_applied_once_or_twice(number: int) -> None:
    clock = FakeClock()
    lost = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)
    flaky = FlakyStore(MemoryStore(clock), Random(number), Faults(rate=0.3, kinds=lost))  # noqa: S311 - a test's seed
    await BackendStates(flaky, clock).record_failure(MAIN, BROKEN, "attempt_1")
    believed = (await BackendStates(flaky.store, clock).read({"main": MAIN}))["main"]
    assert 1 <= believed.errors <= TRIES


async def test_a_store_that_never_answers_loses_the_update_and_not_the_turn() -> None:
    clock = FakeClock()
    faults = Faults(rate=1.0, kinds=(Fault.UNAVAILABLE,))
    flaky = FlakyStore(MemoryStore(clock), Random(0), faults)  # noqa: S311 - a test's seed
    await BackendStates(flaky, clock).record_failure(MAIN, BROKEN, "attempt_1")
    assert len(flaky.calls) == TRIES
    assert sum(clock.slept) < 10
