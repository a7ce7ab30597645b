"""How do concurrent callers share one run of an action?"""

import asyncio
from collections.abc import Awaitable, Callable


class SingleFlight[T]:
    """Runs an action once at a time. Callers during a run wait for it and share its result or error.

    The run continues if its callers are cancelled.
    """

    def __init__(self, action: Callable[[], Awaitable[T]]) -> None:
        self.action = action
        self.running: asyncio.Task[T] | None = None

    def start(self) -> asyncio.Task[T]:
        """Start a run, unless one is active, and return it without waiting for it."""
        if self.running is None:
            self.running = asyncio.ensure_future(self.run())
            self.running.add_done_callback(self.finish)
        return self.running

    async def result(self) -> T:
        return await asyncio.shield(self.start())

    async def run(self) -> T:
        return await self.action()

    def finish(self, run: asyncio.Task[T]) -> None:
        self.running = None
        if not run.cancelled():
            run.exception()  # avoids a warning for a failed run without waiting callers
