"""How many requests may the app's functions have at once, and how many may wait?"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator


class TooManyRequestsError(Exception):
    """As many wait and run as host.json allows."""


class Throttle:
    """None is no limit. `outstanding` counts those that run and those that wait."""

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
