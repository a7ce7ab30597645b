"""What time is it, and what can't be guessed?"""

import asyncio
import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch, waiting, fresh tokens (24 hexadecimal digits) and random fractions (0 to 1).

    A token is its time in milliseconds and as many random digits, so that what is made later has a greater one.
    """

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    def token(self) -> str: ...

    def fraction(self) -> float: ...


class SystemClock:
    """The real clock and the real randomness."""

    def now(self) -> float:
        return time.time()  # noqa: TID251 - the one place that reads the clock

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def token(self) -> str:
        return f"{int(self.now() * 1000):012x}{secrets.token_hex(6)}"

    def fraction(self) -> float:
        return secrets.randbelow(1_000_000) / 1_000_000
