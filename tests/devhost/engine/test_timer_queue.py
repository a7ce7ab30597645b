"""Which timers are due, in which order, and how long does the queue sleep?"""

from collections.abc import Sequence

from devhost.engine.storage.store import StoredTimer
from devhost.engine.timer_queue import MAX_SLEEP_S, MIN_REBUILD_SIZE, TimerQueue


def timer(at: float, task: int = 0) -> StoredTimer:
    return StoredTimer(fire_at=at, instance="i", execution="e", task=task)


def queue(*stored: StoredTimer) -> TimerQueue:
    async def fire(due: list[StoredTimer]) -> None:
        raise AssertionError(due)

    async def read() -> list[StoredTimer]:
        return list(stored)

    return TimerQueue(fire=fire, read=read)


def filled(*timers: StoredTimer) -> TimerQueue:
    one = queue()
    one.add(timers)
    return one


def times(timers: Sequence[StoredTimer]) -> list[float]:
    return [each.fire_at for each in timers]


def test_what_is_due_comes_in_its_order_and_the_rest_stays() -> None:
    one = filled(timer(30.0), timer(10.0), timer(20.0, task=2), timer(20.0, task=1))
    due = one.pop_due(20.0)
    assert [(each.fire_at, each.task) for each in due] == [(10.0, 0), (20.0, 1), (20.0, 2)]
    assert times(one.pop_due(29.9)) == []
    assert times(one.pop_due(30.0)) == [30.0]


def test_the_queue_sleeps_until_the_next_timer_but_not_for_long() -> None:
    assert queue().seconds_to_next(100.0) == MAX_SLEEP_S
    one = filled(timer(110.0))
    assert [one.seconds_to_next(at) for at in (0.0, 100.0, 110.0, 500.0)] == [MAX_SLEEP_S, 10.0, 0.0, 0.0]


def test_a_new_timer_wakes_the_queue() -> None:
    one = queue()
    one.add([])
    assert not one.changed.is_set()
    one.add([timer(1.0)])
    assert one.changed.is_set()


async def test_cancelled_timers_are_gone_when_the_queue_is_read_again() -> None:
    one = queue(timer(5.0))
    one.add([timer(1.0), timer(2.0)])
    await one.rebuild()
    assert times(one.pop_due(99.0)) == [5.0]
    assert one.rebuild_size == MIN_REBUILD_SIZE


async def test_a_queue_grows_to_twice_its_timers_before_it_is_read_again() -> None:
    one = queue(*(timer(float(number)) for number in range(MIN_REBUILD_SIZE)))
    await one.rebuild()
    assert one.rebuild_size == 2 * MIN_REBUILD_SIZE
