"""How do many that want the same thing at once share one effort?"""

import asyncio
from collections.abc import Awaitable, Callable


class SingleFlight[T]:
    """Runs an action once at a time: whoever asks meanwhile waits for the same run and shares how it ends.

    The run goes on where those who wait for it give up.
    """

    def __init__(self, action: Callable[[], Awaitable[T]]) -> None:
        self.action = action
        self.running: asyncio.Task[T] | None = None

    def start(self) -> asyncio.Task[T]:
        """Start a run, unless one is under way, and return it without waiting for it."""
        if self.running is None:
            self.running = asyncio.ensure_future(self.run())
            self.running.add_done_callback(self.ended)
        return self.running

    async def result(self) -> T:
        return await asyncio.shield(self.start())

    async def run(self) -> T:
        return await self.action()

    def ended(self, run: asyncio.Task[T]) -> None:
        self.running = None
        if not run.cancelled():
            run.exception()  # a run that nobody waits for fails in silence
