"""Does a reader learn of a write at once, and does waiting leave nothing behind?"""

import asyncio
import time

from clients.notices import Notices


async def test_all_who_wait_for_a_name_are_woken_and_nobody_else() -> None:
    notices = Notices()
    readers = [asyncio.create_task(notices.wait("a", within_s=30)) for _ in range(3)]
    other = asyncio.create_task(notices.wait("b", within_s=30))
    await asyncio.sleep(0)
    notices.notify("a")
    await asyncio.wait_for(asyncio.gather(*readers), 1)
    assert not other.done()
    notices.notify("b")
    await asyncio.wait_for(other, 1)
    assert notices.waiting == {}


async def test_a_wait_without_a_notice_ends_in_its_time_and_leaves_nothing_behind() -> None:
    notices = Notices()
    begun = time.monotonic()
    await asyncio.gather(notices.wait("a", within_s=0.05), notices.wait("a", within_s=0.1))
    assert 0.09 < time.monotonic() - begun < 2
    assert notices.waiting == {}


async def test_a_notice_before_the_wait_is_missed() -> None:
    notices = Notices()
    notices.notify("a")
    begun = time.monotonic()
    await notices.wait("a", within_s=0.05)
    assert time.monotonic() - begun > 0.04


async def test_a_reader_that_goes_away_leaves_nothing_behind() -> None:
    notices = Notices()
    stays, goes = (asyncio.create_task(notices.wait("a", within_s=30)) for _ in range(2))
    await asyncio.sleep(0)
    goes.cancel()
    await asyncio.wait((goes,))
    assert len(notices.waiting["a"]) == 1
    notices.notify("a")
    await asyncio.wait_for(stays, 1)
    assert notices.waiting == {}


async def test_a_reader_that_waits_again_when_it_is_woken_is_woken_again() -> None:
    notices = Notices()

    async def read() -> None:
        for _ in range(3):
            await notices.wait("a", within_s=30)

    reader = asyncio.create_task(read())
    for _ in range(3):
        await asyncio.sleep(0.01)
        notices.notify("a")
    await asyncio.wait_for(reader, 1)
