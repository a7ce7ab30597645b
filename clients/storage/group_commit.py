"""How do concurrent changes of one document in one process share their commits?

One commit is under way at a time. The changes that arrive meanwhile are written together by the next one. So a process
never conflicts with itself, and the more changes there are, the fewer calls of the store each of them costs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct


class PendingChange[C, R](Struct, eq=False):
    """A change that waits, and the future of its caller."""

    change: C
    result: asyncio.Future[R]
    taken: bool = False


async def no_longer() -> None:
    """Wait for no other changes than those that arrive during a commit."""


class GroupCommit[C, R]:
    """`write` gets the changes of one commit in the order of their arrival, and returns the result of each.

    An exception among the results is raised for its caller alone; what `write` raises, for all of them. Before each
    commit `linger` may wait for more changes.
    """

    def __init__(
        self,
        write: Callable[[Sequence[C]], Awaitable[Sequence[R | Exception]]],
        *,
        most: int,
        linger: Callable[[], Awaitable[None]] = no_longer,
    ) -> None:
        self.write = write
        self.most = most
        self.linger = linger
        self.waiting: list[PendingChange[C, R]] = []
        self.lock = asyncio.Lock()
        self.writing = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        """Tell whether no change waits and none is written."""
        return not (self.waiting or self.lock.locked() or self.writing.locked())

    async def submit(self, change: C) -> R:
        """Write a change together with the others that wait. A caller that is cancelled may have written it."""
        pending = PendingChange[C, R](change, asyncio.get_running_loop().create_future())
        self.waiting.append(pending)
        try:
            async with self.lock:
                if not pending.taken:
                    await asyncio.shield(asyncio.ensure_future(self.write_batch()))
        finally:
            if not pending.taken:
                self.waiting.remove(pending)
        return await pending.result

    async def write_batch(self) -> None:
        """Write what waits, after a commit whose caller was cancelled: that still goes on."""
        async with self.writing:
            await self.linger()
            batch, self.waiting = self.waiting[: self.most], self.waiting[self.most :]
            for each in batch:
                each.taken = True
            try:
                results = await self.write([each.change for each in batch]) if batch else ()
            except BaseException as error:  # noqa: BLE001 - each caller gets the error of the commit
                results = [error] * len(batch)
        for each, result in zip(batch, results, strict=True):
            set_result(each.result, result)


def set_result[R](future: asyncio.Future[R], result: R | BaseException) -> None:
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
        future.exception()  # avoids a warning where the caller was cancelled
    else:
        future.set_result(result)
