"""How does a GPU service that scales to zero behave in an event loop whose timers cost no time?

It behaves like Cloud Run: requests queue in their order for a limited time. A start that no request waits for any more
continues or is abandoned, as configured.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import TokenUsage
from tests.fakes.clocks import START

MIN_HOLD_S = 10.0
HOLD_STARTS = 3.5
RATE_EXCEEDED = Failure(
    kind=FailureKind.STATUS,
    status=429,
    headers={"server": "Google Frontend", "content-type": "text/plain"},
    body="Rate exceeded.",
)


class LoopClock:
    """A clock with the time of the running event loop; fractions follow a fixed sequence, tokens count up."""

    def __init__(self) -> None:
        self.tokens = 0

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def token(self) -> str:
        self.tokens += 1
        return f"{self.tokens:024x}"

    def fraction(self) -> float:
        self.tokens += 1
        return self.tokens * 0.618 % 1


def no_failure() -> Failure | None:
    """Return no failure."""


@dataclass(slots=True, kw_only=True)
class Life:
    """One lifetime of the instance; times are seconds since the loop's start."""

    started: float
    ready: float | None = None
    ended: float | None = None
    why: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class SleepingGpu:
    """At most one instance. `start_s` returns the seconds of the next start; an answer has `words` words.

    `authentication_failure` returns why no token can be had now, and `rejection` why the service rejects a request. No
    authentication ends before `authentication_s`, in seconds since the loop's start.
    """

    start_s: Callable[[], float]
    abandoned_starts: bool = True
    concurrency: int = 8
    idle_s: float = 600.0
    average_s: float | None = None
    words: int = 4
    word_s: float = 0.05
    first_word_s: float = 0.1
    authentication_failure: Callable[[], Failure | None] = no_failure
    rejection: Callable[[], Failure | None] = no_failure
    authentications: int = 0
    authentication_s: float = 0.0
    lives: list[Life] = field(default_factory=list[Life])
    arrivals: list[float] = field(default_factory=list[float])
    admitted: list[str] = field(default_factory=list[str])
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])
    busy: int = 0
    timer: asyncio.TimerHandle | None = None

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def life(self) -> Life | None:
        return self.lives[-1] if self.lives and self.lives[-1].ended is None else None

    @property
    def is_up(self) -> bool:
        return self.life is not None and self.life.ready is not None

    async def authenticate(self) -> None:
        self.authentications += 1
        await asyncio.sleep(max(0.0, self.authentication_s - self.now))
        if failure := self.authentication_failure():
            raise BackendError(failure)

    async def probe(self) -> None:
        async with self.request():
            pass

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        async with self.request():
            self.admitted.append(call.items[-1].text)
            yield self.speak(call)

    async def speak(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        await asyncio.sleep(self.first_word_s)
        first = len(call.partial.split())
        for number in range(first, self.words):
            yield TextPiece(text=f"{' ' if number else ''}word{number}")
            await asyncio.sleep(self.word_s)
        yield AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=300, output_tokens=self.words))

    @asynccontextmanager
    async def request(self) -> AsyncGenerator[None]:
        self.arrivals.append(self.now)
        if failure := self.rejection():
            raise BackendError(failure)
        await self.wait_for_admission()
        try:
            yield
        finally:
            self.busy -= 1
            self.update()

    async def wait_for_admission(self) -> None:
        """Wait in the queue. The service times the request out in the end, and continues the start."""
        admission = asyncio.get_running_loop().create_future()
        self.waiting.append(admission)
        self.update()
        average = self.start_s() if self.average_s is None else self.average_s
        try:
            async with asyncio.timeout(max(HOLD_STARTS * average, MIN_HOLD_S)):
                await admission
        except TimeoutError:
            self.leave_queue(admission)
            raise BackendError(RATE_EXCEEDED) from None
        except asyncio.CancelledError:
            self.leave_queue(admission)
            if not (self.waiting or self.busy or self.abandoned_starts or self.is_up):
                self.end("abandoned")
            raise

    def leave_queue(self, admission: asyncio.Future[None]) -> None:
        if admission in self.waiting:
            self.waiting.remove(admission)
        elif not admission.cancelled():
            self.busy -= 1
            self.update()

    def update(self) -> None:
        while self.is_up and self.waiting and self.busy < self.concurrency:
            admission = self.waiting.popleft()
            if not admission.done():
                self.busy += 1
                admission.set_result(None)
        if self.waiting and self.life is None:
            self.lives.append(Life(started=self.now))
            self.set_timer(self.start_s(), self.ready)
        elif self.is_up:
            self.set_timer(self.idle_s, self.end)

    def ready(self) -> None:
        if self.life:
            self.life.ready = self.now
            self.update()

    def end(self, why: str = "idle") -> None:
        life = self.life
        if life and not (life.ready is not None and self.busy):
            life.ended, life.why = self.now, why
            self.set_timer(0, None)

    def set_timer(self, seconds: float, then: Callable[[], None] | None) -> None:
        if self.timer:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(seconds, then) if then else None
