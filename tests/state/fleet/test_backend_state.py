"""Are parallel updates of one backend's state from many instances all kept?"""

import asyncio
from random import Random

import pytest

from benches.scale.metered_store import MeteredStore
from domain.fleet.backend_state import initial_state
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.learned_speed import Observation
from domain.routing.queueing import QueuedTurn, QueueWait
from state.fleet.backend_state import TRIES, BackendStates
from state.fleet.learned_news import LEARN_S
from tests.activities.cold_starts import cold_gpu, cold_of
from tests.checks import every
from tests.fakes.clocks import FakeClock, LoopClock, in_no_time
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
    states, other = BackendStates(MemoryStore(clock), clock), backend("other")
    await states.record_failure(MAIN, BROKEN, "attempt_1")
    found = await states.read({"main": MAIN, "other": other})
    assert (found["main"].health.errors, found["other"].health.errors) == (1, 0)


async def test_an_attempt_is_in_flight_from_its_start_to_its_end() -> None:
    clock = FakeClock()
    states = BackendStates(MemoryStore(clock), clock)
    for name in ("one", "two", "three"):
        await states.record_start(MAIN, name, until=clock.now() + 60)
    await states.record_start(MAIN, "three", until=clock.now() + 60)
    await states.record_success(MAIN, seen("one"))
    await states.record_failure(MAIN, BROKEN, "two")
    found = (await states.read({"main": MAIN}))["main"]
    assert set(found.load.in_flight) == {"three"}
    assert found.speed.prefill_tokens_s > MAIN.speed.prefill_tokens_s


async def test_an_update_that_changes_nothing_wakes_nobody() -> None:
    """A refused end would wake the watch that asked for it, which would ask again at once."""
    clock = FakeClock()
    states, gpu = BackendStates(MemoryStore(clock), clock), cold_gpu(cold_of(20.0))
    await states.record_opening(gpu, asked_at=clock.now())
    wait = QueueWait(delay_s=1.0, kept_until=clock.now() + 60, reason="busy")
    turn = QueuedTurn(response="resp", input_tokens=1, admitted_at=clock.now(), hold_s=1.0)
    changed = states.changes.following(gpu.name)
    await states.record_queued_turn(gpu, turn, wait)
    assert changed.is_set()
    unchanged = states.changes.following(gpu.name)
    assert not await states.record_stop(gpu, looked_at=clock.now())
    assert not unchanged.is_set()


def test_parallel_updates_of_many_instances_are_all_kept() -> None:
    """In the loop's own time, which no slow machine delays: that their pauses differ keeps them apart."""
    in_no_time(many_instances_update())


async def many_instances_update() -> None:
    clock = LoopClock()
    store = MemoryStore(clock)
    states = [BackendStates(store, clock) for _ in range(INSTANCES)]
    until = clock.now() + 60
    await asyncio.gather(*(one.record_start(MAIN, str(n), until=until) for n, one in enumerate(states)))
    found = (await states[0].read({"main": MAIN}))["main"]
    assert found.load.running(clock.now()) == INSTANCES
    await asyncio.gather(*(one.record_failure(MAIN, BROKEN, str(n)) for n, one in enumerate(states)))
    found = (await states[0].read({"main": MAIN}))["main"]
    assert (found.load.running(clock.now()), found.health.errors) == (0, INSTANCES)


async def test_an_attempt_may_end_in_another_process() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, other = BackendStates(store, clock), BackendStates(store, clock)
    await one.record_start(MAIN, "a", until=clock.now() + 60)
    await one.record_start(MAIN, "b", until=clock.now() + 60)
    await other.record_end(MAIN, "a")
    for states in (one, other):
        assert set((await states.read({"main": MAIN}))["main"].load.in_flight) == {"b"}


def test_processes_that_count_attempts_do_not_conflict() -> None:
    in_no_time(count_attempts())


async def count_attempts() -> None:
    clock = LoopClock()
    store = MemoryStore(clock)
    views = [MeteredStore(store, clock, 0.02) for _ in range(INSTANCES)]
    states = [BackendStates(view, clock) for view in views]
    until = clock.now() + 60
    for _ in range(3):
        await asyncio.gather(*(one.record_start(MAIN, str(n), until=until) for n, one in enumerate(states)))
        await asyncio.gather(*(one.record_end(MAIN, str(n)) for n, one in enumerate(states)))
    assert (await states[0].read({"main": MAIN}))["main"].load.running(clock.now()) == 0
    assert not any(view.conflicts for view in views)


async def test_one_call_reads_the_states_of_all_backends() -> None:
    clock = FakeClock()
    store = MeteredStore(MemoryStore(clock), clock)
    states, many = BackendStates(store, clock), {f"b{number}": backend(f"b{number}") for number in range(50)}
    for each in many.values():
        await states.record_failure(each, BROKEN, "attempt_1")
    store.calls.clear()
    found = await states.read(many)
    assert every(state.health.errors == 1 for state in found.values())
    assert store.calls == {"list": 1}


async def test_answers_that_show_nothing_new_are_written_seldom_and_known_at_once() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, other = BackendStates(store, clock), BackendStates(store, clock)
    for number in range(4):
        await one.record_success(MAIN, seen(str(number)))
    stored = (await other.read({"main": MAIN}))["main"]
    known = (await one.read({"main": MAIN}))["main"]
    assert MAIN.speed.prefill_tokens_s < stored.speed.prefill_tokens_s < known.speed.prefill_tokens_s
    clock.advance(LEARN_S)
    await one.record_success(MAIN, seen("last"))
    assert (await other.read({"main": MAIN}))["main"] == (await one.read({"main": MAIN}))["main"]


async def test_a_failure_is_written_at_once_and_ends_what_another_process_only_knew() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, other = BackendStates(store, clock), BackendStates(store, clock)
    for number in range(2):
        await one.record_success(MAIN, seen(str(number)))
    await other.record_failure(MAIN, BROKEN, "attempt_1")
    assert (await one.read({"main": MAIN}))["main"] == (await other.read({"main": MAIN}))["main"]
    assert (await one.read({"main": MAIN}))["main"].health.errors == 1


@pytest.mark.parametrize("number", range(20))
async def test_an_update_whose_reply_is_lost_is_applied_once_or_twice(number: int) -> None:
    clock = FakeClock()
    lost = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)
    flaky = FlakyStore(MemoryStore(clock), Random(number), Faults(rate=0.3, kinds=lost))  # noqa: S311 - a test's seed
    await BackendStates(flaky, clock).record_failure(MAIN, BROKEN, "attempt_1")
    found = (await BackendStates(flaky.store, clock).read({"main": MAIN}))["main"]
    assert 1 <= found.health.errors <= TRIES


async def test_a_store_that_never_answers_loses_the_update_and_not_the_turn() -> None:
    clock = FakeClock()
    faults = Faults(rate=1.0, kinds=(Fault.UNAVAILABLE,))
    flaky = FlakyStore(MemoryStore(clock), Random(0), faults)  # noqa: S311 - a test's seed
    await BackendStates(flaky, clock).record_failure(MAIN, BROKEN, "attempt_1")
    assert len(flaky.calls) == TRIES
    assert sum(clock.slept) < 10
