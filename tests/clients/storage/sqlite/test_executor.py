"""Is work done in its order on one thread, and does each who waits learn of his own?"""

import asyncio
import threading

import pytest

from clients.storage.sqlite.executor import BatchingExecutor


async def test_work_is_done_in_its_order_on_one_thread_beside_the_loop() -> None:
    errands, order = BatchingExecutor("one"), list[int]()
    threads: set[int] = set()

    def work(number: int) -> int:
        order.append(number)
        threads.add(threading.get_ident())
        return number

    found = await asyncio.gather(*(errands.submit(lambda number=number: work(number)) for number in range(50)))
    assert found == order == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    errands.close()


async def test_what_fails_is_told_to_who_asked_for_it_and_to_nobody_else() -> None:
    errands = BatchingExecutor("one")
    asked = (errands.submit(lambda: 1 // 0), errands.submit(lambda: "fine"), errands.submit(lambda: int("x")))
    first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(first, ZeroDivisionError)
    assert second == "fine"
    assert isinstance(third, ValueError)
    errands.close()


async def test_what_comes_while_the_thread_is_busy_goes_together_and_without_who_gave_up() -> None:
    errands, gate, done = BatchingExecutor("one"), threading.Event(), list[str]()
    first = asyncio.create_task(errands.submit(gate.wait))
    await asyncio.sleep(0)
    gone = asyncio.create_task(errands.submit(lambda: done.append("gone")))
    stays = asyncio.create_task(errands.submit(lambda: done.append("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    gate.set()
    await asyncio.gather(first, stays)
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert done == ["stays"]
    errands.close()


async def test_work_that_nobody_waits_for_any_more_holds_nothing_up() -> None:
    errands, gate = BatchingExecutor("one"), threading.Event()
    running = asyncio.create_task(errands.submit(gate.wait))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
    gate.set()
    assert await asyncio.wait_for(errands.submit(lambda: 7), 10) == 7
    errands.close()


async def test_after_the_shutting_work_is_refused() -> None:
    errands = BatchingExecutor("one")
    assert await errands.submit(lambda: 1) == 1
    errands.close()
    with pytest.raises(RuntimeError):
        await errands.submit(lambda: 2)
