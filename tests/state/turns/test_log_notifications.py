"""Does a reader get a new slot at once, and does an ended subscription leave nothing in memory?"""

import asyncio

from domain.log.events import Slot
from state.turns.log_notifications import KEPT, LogNotifications


def slot(number: int) -> Slot:
    return Slot(number=number, writer="infer:1", first=number, at=1.0)


async def test_all_subscribers_of_a_response_get_its_slots_alone() -> None:
    notices = LogNotifications()
    with notices.subscribe("a") as one, notices.subscribe("a") as two, notices.subscribe("b") as other:
        notices.notify("a", slot(3))
        await asyncio.wait_for(asyncio.gather(one.wait(within_s=30), two.wait(within_s=30)), 60)
        assert one.take(3) == two.take(3) == [slot(3)]
        assert other.take(3) == []
    assert notices.subscriptions == {}


async def test_a_wait_without_a_slot_ends_in_time() -> None:
    notices = LogNotifications()
    with notices.subscribe("a") as told:
        await told.wait(within_s=0.05)
        assert told.take(0) == []


async def test_a_slot_between_two_reads_is_not_missed() -> None:
    notices = LogNotifications()
    with notices.subscribe("a") as told:
        notices.notify("a", slot(0))
        notices.notify("a", slot(1))
        await asyncio.wait_for(told.wait(within_s=30), 60)
        assert told.take(0) == [slot(0), slot(1)]


async def test_slots_that_were_read_elsewhere_are_dropped_and_those_after_a_gap_are_kept() -> None:
    notices = LogNotifications()
    with notices.subscribe("a") as told:
        for number in (3, 4, 6):
            notices.notify("a", slot(number))
        assert told.take(5) == []
        assert told.take(6) == [slot(6)]


async def test_a_reader_that_takes_nothing_keeps_a_bounded_number_of_slots() -> None:
    notices = LogNotifications()
    with notices.subscribe("a") as told:
        for number in range(10 * KEPT + 3):
            notices.notify("a", slot(number))
            assert len(told.slots) <= KEPT
        assert told.take(0) == []


async def test_a_reader_that_unsubscribes_leaves_nothing() -> None:
    notices = LogNotifications()

    async def read() -> None:
        with notices.subscribe("a") as told:
            await told.wait(within_s=30)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    assert len(notices.subscriptions["a"]) == 1
    reader.cancel()
    await asyncio.wait((reader,))
    assert notices.subscriptions == {}


def test_a_slot_without_subscribers_leaves_nothing() -> None:
    notices = LogNotifications()
    notices.notify("a", slot(0))
    assert notices.subscriptions == {}
