"""How is blocking work done on one thread, in its order, without a wake-up of either side for every piece?"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class PendingCall:
    """A piece of work and who waits for it."""

    action: Callable[[], Any]
    result: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """What an errand brought, or what it raised."""

    call: PendingCall
    result: Any = None
    error: BaseException | None = None


class BatchingExecutor:
    """Sends out together what was asked for while the thread was busy. The thread starts at first use."""

    def __init__(self, name: str) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.waiting: list[PendingCall] = []
        self.busy = False

    async def submit[T](self, action: Callable[[], T]) -> T:
        """Do work on the thread and return what it brings. What nobody waits for any more may be left out."""
        loop = asyncio.get_running_loop()
        errand = PendingCall(action, loop.create_future())
        self.waiting.append(errand)
        if not self.busy:
            self.flush(loop)
        return await errand.result

    def flush(self, loop: asyncio.AbstractEventLoop) -> None:
        errands = [errand for errand in self.waiting if not errand.result.done()]
        self.waiting.clear()
        if errands:
            self.thread.submit(self.run, errands, loop)
        self.busy = bool(errands)

    def run(self, errands: Sequence[PendingCall], loop: asyncio.AbstractEventLoop) -> None:
        done = [run_one(errand) for errand in errands]
        loop.call_soon_threadsafe(self.deliver, done, loop)

    def deliver(self, done: Sequence[FinishedCall], loop: asyncio.AbstractEventLoop) -> None:
        for each in done:
            settle(each)
        self.flush(loop)

    def close(self) -> None:
        """Take no more work; the thread ends behind what it has."""
        self.thread.shutdown(wait=False)


def run_one(errand: PendingCall) -> FinishedCall:
    try:
        return FinishedCall(errand, result=errand.action())
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who waits
        return FinishedCall(errand, error=error)


def settle(done: FinishedCall) -> None:
    future = done.call.result
    if future.done():
        return
    if done.error is None:
        future.set_result(done.result)
    else:
        future.set_exception(done.error)
