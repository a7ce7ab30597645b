"""What time is it, and where do tokens and random numbers come from?"""

import asyncio
import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch, waiting, new tokens (24 hexadecimal digits) and random fractions (0 to 1).

    A token is the time in milliseconds, followed by as many random digits: a later token sorts after an earlier one.
    """

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    def token(self) -> str: ...

    def fraction(self) -> float: ...


class SystemClock:
    """The system's clock and its secure random numbers."""

    def now(self) -> float:
        return time.time()  # noqa: TID251 - the only place that reads the clock

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def token(self) -> str:
        return f"{int(self.now() * 1000):012x}{secrets.token_hex(6)}"

    def fraction(self) -> float:
        return secrets.randbelow(1_000_000) / 1_000_000


def cpu_seconds() -> float:
    """Return the CPU time of this process since it began."""
    return time.process_time()


def process_name() -> str:
    """Return a name that no other process has."""
    return secrets.token_hex(6)
