"""What time is it when a test says so?"""

import asyncio
from collections.abc import Coroutine
from random import Random
from selectors import SelectorKey, SelectSelector
from typing import Any

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


class Hourglass(SelectSelector):
    """Where nothing can happen before a timer is due, says that its time has passed instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            return super().select()
        self.passed += max(timeout, 0.0)
        return super().select(0)


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers fire in their order and cost no time: `asyncio.Runner(loop_factory=InstantLoop)`.

    For code that waits for timers and for its own tasks alone: a timer does not wait for a thread or a socket.
    """

    def __init__(self) -> None:
        self.hourglass = Hourglass()
        super().__init__(self.hourglass)

    def time(self) -> float:
        return self.hourglass.passed


class LoopClock(FakeClock):
    """The time of the event loop, so that timers and times agree."""

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def in_no_time[T](work: Coroutine[Any, Any, T]) -> T:
    """Run work whose timers cost no time, to its end."""
    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        return runner.run(work)
