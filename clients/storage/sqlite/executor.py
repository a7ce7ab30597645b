"""How is blocking work done on one thread, in its order, without a wake-up of either side for every piece?"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """A piece of work and who waits for it."""

    action: Callable[[], Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Done:
    """What an errand brought, or what it raised."""

    errand: Errand
    result: Any = None
    error: BaseException | None = None


class Errands:
    """Sends out together what was asked for while the thread was busy. The thread starts at first use."""

    def __init__(self, name: str) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.waiting: list[Errand] = []
        self.busy = False

    async def do[T](self, action: Callable[[], T]) -> T:
        """Do work on the thread and return what it brings. What nobody waits for any more may be left out."""
        loop = asyncio.get_running_loop()
        errand = Errand(action, loop.create_future())
        self.waiting.append(errand)
        if not self.busy:
            self.send(loop)
        return await errand.future

    def send(self, loop: asyncio.AbstractEventLoop) -> None:
        errands = [errand for errand in self.waiting if not errand.future.done()]
        self.waiting.clear()
        if errands:
            self.thread.submit(self.run, errands, loop)
        self.busy = bool(errands)

    def run(self, errands: Sequence[Errand], loop: asyncio.AbstractEventLoop) -> None:
        done = [run_one(errand) for errand in errands]
        loop.call_soon_threadsafe(self.bring, done, loop)

    def bring(self, done: Sequence[Done], loop: asyncio.AbstractEventLoop) -> None:
        for each in done:
            settle(each)
        self.send(loop)

    def shut(self) -> None:
        """Take no more work; the thread ends behind what it has."""
        self.thread.shutdown(wait=False)


def run_one(errand: Errand) -> Done:
    try:
        return Done(errand, result=errand.action())
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who waits
        return Done(errand, error=error)


def settle(done: Done) -> None:
    future = done.errand.future
    if future.done():
        return
    if done.error is None:
        future.set_result(done.result)
    else:
        future.set_exception(done.error)
