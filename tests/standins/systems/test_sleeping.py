"""When is the instance of a stand-in up, and when does it sleep again?"""

import pytest

from standins.systems.sleeping import Instance


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def instance(clock: Clock) -> Instance:
    return Instance(start_s=10, idle_s=60, clock=clock)


def test_an_instance_is_up_after_its_start(instance: Instance, clock: Clock) -> None:
    assert not instance.is_up
    instance.wake()
    clock.now += 9.9
    instance.wake()
    assert not instance.is_up
    clock.now += 0.1
    assert instance.is_up
    assert [life["started"] for life in instance.lives] == [100.0]


def test_an_instance_without_a_request_sleeps_after_its_idle_time(instance: Instance, clock: Clock) -> None:
    instance.wake()
    clock.now += 10 + 59.9
    assert instance.is_up
    clock.now += 0.1
    assert not instance.is_up


def test_the_idle_time_begins_when_the_last_request_ends(instance: Instance, clock: Clock) -> None:
    instance.wake()
    clock.now += 10
    for _ in range(2):
        instance.enter()
    clock.now += 1000
    instance.leave()
    assert instance.is_up
    clock.now += 1000
    instance.leave()
    clock.now += 59
    assert instance.is_up
    clock.now += 1
    assert not instance.is_up
    instance.wake()
    assert [life["requests"] for life in instance.lives] == [2, 0]


async def test_who_waits_for_an_instance_wakes_it(clock: Clock) -> None:
    instance = Instance(start_s=0, idle_s=60, clock=clock)
    await instance.up()
    assert instance.is_up
    instance.put_to_sleep()
    assert not instance.is_up
