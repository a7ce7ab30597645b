"""How many requests may run at the same time, and how many may wait?"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator


class TooManyRequestsError(Exception):
    """The limit of running and waiting requests in host.json is reached."""


class Throttle:
    """None means no limit. `outstanding` limits running and waiting requests together."""

    def __init__(self, *, running: int | None, outstanding: int | None) -> None:
        self.slots = None if running is None else asyncio.Semaphore(running)
        self.outstanding = outstanding
        self.count = 0

    @contextlib.asynccontextmanager
    async def admit(self) -> AsyncGenerator[None]:
        """Raises TooManyRequestsError."""
        if self.outstanding is not None and self.count >= self.outstanding:
            raise TooManyRequestsError
        self.count += 1
        try:
            async with self.slots or contextlib.nullcontext():
                yield
        finally:
            self.count -= 1
