"""What time is it when a test says so?"""

import asyncio
from random import Random

START = 1_800_000_000.0


class FakeClock:
    """A clock that stands still until it is told; a sleeper wakes at once and finds its time passed.

    Sleepers that overlap pass the same time, not the sum. Tokens and fractions follow from the seed.
    """

    def __init__(self, *, start: float = START, seed: int = 0) -> None:
        self.time = start
        self.random = Random(seed)  # noqa: S311 - tokens of a test must repeat
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def set(self, time: float) -> None:
        self.time = time

    def advance(self, seconds: float) -> None:
        self.time += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.time + seconds
        await asyncio.sleep(0)
        self.time = max(self.time, until)

    def token(self) -> str:
        return f"{self.random.getrandbits(96):024x}"

    def fraction(self) -> float:
        return self.random.random()
