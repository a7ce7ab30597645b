"""Does a reader learn of a write at once, and does waiting leave nothing behind?"""

import asyncio

from domain.log.events import Slot
from state.turns.log_notifications import KEPT, LogNotifications


def slot(number: int) -> Slot:
    return Slot(number=number, writer="infer:1", first=number, at=1.0)


async def test_all_who_watch_a_name_are_told_and_nobody_else() -> None:
    notices = LogNotifications()
    with notices.watch("a") as one, notices.watch("a") as two, notices.watch("b") as other:
        notices.notify("a", slot(3))
        await asyncio.wait_for(asyncio.gather(one.wait(within_s=30), two.wait(within_s=30)), 5)
        assert one.take(3) == two.take(3) == [slot(3)]
        assert other.take(3) == []
    assert notices.watching == {}


async def test_a_wait_without_a_notice_ends_in_its_time() -> None:
    notices = LogNotifications()
    with notices.watch("a") as told:
        await told.wait(within_s=0.05)
        assert told.take(0) == []


async def test_what_is_told_between_two_looks_is_not_missed() -> None:
    notices = LogNotifications()
    with notices.watch("a") as told:
        notices.notify("a", slot(0))
        notices.notify("a", slot(1))
        await asyncio.wait_for(told.wait(within_s=30), 5)
        assert told.take(0) == [slot(0), slot(1)]


async def test_what_was_read_elsewhere_is_dropped_and_what_follows_a_gap_is_kept() -> None:
    notices = LogNotifications()
    with notices.watch("a") as told:
        for number in (3, 4, 6):
            notices.notify("a", slot(number))
        assert told.take(5) == []
        assert told.take(6) == [slot(6)]


async def test_a_reader_that_takes_nothing_keeps_a_bounded_number_of_slots() -> None:
    notices = LogNotifications()
    with notices.watch("a") as told:
        for number in range(10 * KEPT + 3):
            notices.notify("a", slot(number))
            assert len(told.slots) <= KEPT
        assert told.take(0) == []


async def test_a_reader_that_goes_away_leaves_nothing_behind() -> None:
    notices = LogNotifications()

    async def read() -> None:
        with notices.watch("a") as told:
            await told.wait(within_s=30)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    assert len(notices.watching["a"]) == 1
    reader.cancel()
    await asyncio.wait((reader,))
    assert notices.watching == {}


def test_a_notice_that_nobody_watches_for_leaves_nothing_behind() -> None:
    notices = LogNotifications()
    notices.notify("a", slot(0))
    assert notices.watching == {}
