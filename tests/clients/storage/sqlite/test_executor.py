"""Do calls run in order on one thread, and does each caller get its own result?"""

import asyncio
import threading

import pytest

from clients.storage.sqlite.executor import BatchingExecutor


async def test_calls_run_in_order_on_one_thread() -> None:
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


async def test_an_error_is_raised_to_its_caller_alone() -> None:
    errands = BatchingExecutor("one")
    asked = (errands.submit(lambda: 1 // 0), errands.submit(lambda: "fine"), errands.submit(lambda: int("x")))
    first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(first, ZeroDivisionError)
    assert second == "fine"
    assert isinstance(third, ValueError)
    errands.close()


async def test_calls_that_arrive_while_the_thread_is_busy_run_as_one_batch_without_cancelled_ones() -> None:
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


async def test_a_cancelled_call_blocks_no_other() -> None:
    errands, gate = BatchingExecutor("one"), threading.Event()
    running = asyncio.create_task(errands.submit(gate.wait))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
    gate.set()
    assert await asyncio.wait_for(errands.submit(lambda: 7), 60) == 7
    errands.close()


async def test_a_closed_executor_rejects_calls() -> None:
    errands = BatchingExecutor("one")
    assert await errands.submit(lambda: 1) == 1
    errands.close()
    with pytest.raises(RuntimeError):
        await errands.submit(lambda: 2)
