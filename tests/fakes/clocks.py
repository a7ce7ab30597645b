"""How does a test control time?"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from random import Random
from selectors import SelectorKey, SelectSelector
from typing import Any, override

START = 1_800_000_000.0


class FakeClock:
    """A clock that only moves when a test or a sleep moves it. A sleep returns at once, with its time passed.

    Overlapping sleeps pass the same time, not the sum. Tokens and fractions follow from the seed.
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


class SkippingSelector(SelectSelector):
    """Skips the time to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            return super().select()
        if timeout <= 0:
            return []  # callbacks are ready, and run first
        self.passed += timeout
        return super().select(0)


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers fire in order and cost no time: `asyncio.Runner(loop_factory=InstantLoop)`.

    Only for code that waits for timers and its own tasks: a timer does not wait for a socket. What would run in a
    thread runs at once.
    """

    def __init__(self) -> None:
        self.selector = SkippingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.passed

    @override
    def run_in_executor[*Args, T](
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the caller gets whatever its function raised
            done.set_exception(error)
        return done


class LoopClock(FakeClock):
    """A clock with the time of the event loop, so that timers and timestamps agree."""

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def in_no_time[T](work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end in a loop whose timers cost no time."""
    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        return runner.run(work)
