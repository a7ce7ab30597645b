"""Does a process leave a shared document alone for a while after others have changed it?"""

import heapq
from random import Random

import pytest

from clients.storage.shared_pace import LEAST_S, MOST_S, SharedPace
from tests.checks import every
from tests.fakes.clocks import FakeClock


async def test_a_process_alone_never_waits() -> None:
    clock = FakeClock()
    pace = SharedPace(clock)
    for _ in range(3):
        await pace.begin()
        pace.changed(by_others=False)
    assert clock.slept == []


async def test_a_process_waits_between_changes_if_others_change_the_document_too() -> None:
    clock = FakeClock()
    pace = SharedPace(clock)
    await pace.begin()
    clock.advance(LEAST_S / 2)
    pace.changed(by_others=True)
    await pace.begin()
    assert clock.slept == [LEAST_S / 2]
    await pace.begin()
    assert len(clock.slept) == 1


async def test_many_collisions_lengthen_the_distance_and_few_shorten_it() -> None:
    pace = SharedPace(FakeClock())
    for _ in range(20):
        pace.collided()
    assert pace.distance_s == MOST_S
    for _ in range(200):
        pace.changed(by_others=True)
    assert pace.distance_s == LEAST_S


async def test_after_a_collision_processes_try_again_at_different_times() -> None:
    clocks = [FakeClock(seed=seed) for seed in range(5)]
    for clock in clocks:
        pace = SharedPace(clock)
        pace.collided()
        await pace.begin()
    slept = [clock.slept[0] for clock in clocks]
    assert len(set(slept)) == len(slept)
    assert every(0 < each <= LEAST_S for each in slept)


async def test_a_clock_that_was_set_back_makes_no_wait_longer() -> None:
    clock = FakeClock()
    pace = SharedPace(clock)
    await pace.begin()
    pace.changed(by_others=True)
    clock.advance(-3600)
    await pace.begin()
    assert clock.slept == []


@pytest.mark.parametrize("change_s", [0.02, 0.1, 0.2])
async def test_few_changes_of_four_processes_collide_however_long_one_takes(change_s: float) -> None:
    """In a model of the store: a change collides if another one was committed while it was under way."""
    clock, random = FakeClock(), Random(0)  # noqa: S311 - a test must repeat
    paces = [SharedPace(clock) for _ in range(4)]
    events = [(clock.now() + random.random(), number, False) for number in range(4)]
    committed_at, collisions, ended = 0.0, 0, 0
    while ended < 1000:
        at, number, is_end = heapq.heappop(events)
        pace = paces[number]
        clock.set(at)
        if not is_end:
            await pace.begin()
            heapq.heappush(events, (at + change_s * random.uniform(0.5, 1.5), number, True))
            continue
        ended += 1
        if committed_at > pace.began_at:
            collisions += 1
            pace.collided()
        else:
            committed_at = at
            pace.changed(by_others=True)
        heapq.heappush(events, (max(at, pace.next_at), number, False))
    assert collisions <= 0.2 * ended
