"""How long may one request of a call last, when its server reports progress and when its turn ends?"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class RequestLimit:
    """The time limit of a request: each sign of life extends it up to its absolute end, the turn's end shortens it.

    A request may be silent for `silence_s` seconds and lasts `longest_s` seconds at most.
    """

    def __init__(self, *, silence_s: float, longest_s: float) -> None:
        self.silence_s = silence_s
        self.started = asyncio.get_running_loop().time()
        self.ends_by = self.started + longest_s
        self.timeout = asyncio.timeout_at(self.started + min(silence_s, longest_s))
        self.is_running = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Hold a request to the limit; raises TimeoutError. What is reported afterwards is ignored."""
        async with self.timeout:
            self.is_running = True
            try:
                yield
            finally:
                self.is_running = False

    @property
    def seconds(self) -> float:
        """How long the request may last as things stand, in seconds."""
        return round((self.timeout.when() or self.ends_by) - self.started, 3)

    def extend(self) -> None:
        """Take note of a sign of life."""
        self.end_at(min(self.ends_by, asyncio.get_running_loop().time() + self.silence_s))

    def shorten(self, grace_s: float) -> None:
        """Leave the request `grace_s` seconds from now on, if it has that many, whatever progress follows."""
        ends_at = asyncio.get_running_loop().time() + grace_s
        self.ends_by = min(self.ends_by, ends_at)
        self.end_at(min(self.timeout.when() or ends_at, ends_at))

    def end_at(self, at: float) -> None:
        if self.is_running and not self.timeout.expired():
            self.timeout.reschedule(at)
