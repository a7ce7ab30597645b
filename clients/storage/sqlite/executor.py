"""How is blocking work run on one thread, in order, with one thread switch for many calls?"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct


class PendingCall(Struct, frozen=True, eq=False):
    """A call and the future of its caller."""

    action: Callable[[], Any]
    result: asyncio.Future[Any]


class FinishedCall(Struct, frozen=True):
    """The result of a call, or the error that it raised."""

    call: PendingCall
    result: Any = None
    error: BaseException | None = None


class BatchingExecutor:
    """Runs the calls that arrive while the thread is busy as one batch. The thread starts at first use."""

    def __init__(self, name: str) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.waiting: list[PendingCall] = []
        self.busy = False

    async def submit[T](self, action: Callable[[], T]) -> T:
        """Run an action on the thread and return its result. A call that was cancelled may not run."""
        loop = asyncio.get_running_loop()
        call = PendingCall(action, loop.create_future())
        self.waiting.append(call)
        if not self.busy:
            self.flush(loop)
        return await call.result

    def flush(self, loop: asyncio.AbstractEventLoop) -> None:
        calls = [call for call in self.waiting if not call.result.done()]
        self.waiting.clear()
        if calls:
            self.thread.submit(self.run, calls, loop)
        self.busy = bool(calls)

    def run(self, calls: Sequence[PendingCall], loop: asyncio.AbstractEventLoop) -> None:
        done = [run_one(call) for call in calls]
        loop.call_soon_threadsafe(self.deliver, done, loop)

    def deliver(self, done: Sequence[FinishedCall], loop: asyncio.AbstractEventLoop) -> None:
        for each in done:
            set_result(each)
        self.flush(loop)

    def close(self) -> None:
        """Accept no more calls; the thread ends after those that it has."""
        self.thread.shutdown(wait=False)


def run_one(call: PendingCall) -> FinishedCall:
    try:
        return FinishedCall(call, result=call.action())
    except BaseException as error:  # noqa: BLE001 - the caller gets every error
        return FinishedCall(call, error=error)


def set_result(done: FinishedCall) -> None:
    future = done.call.result
    if future.done():
        return
    if done.error is None:
        future.set_result(done.result)
    else:
        future.set_exception(done.error)
