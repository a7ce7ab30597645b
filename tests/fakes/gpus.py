"""How does a GPU service that scales to zero behave, in the time of an event loop that waits for nothing?

As Cloud Run does: requests stand in line, first come first served, for at most so long; what nobody waits for any more
is started all the same or is not.
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

HOLD_LEAST_S = 10.0
HOLD_STARTS = 3.5
RATE_EXCEEDED = Failure(
    kind=FailureKind.STATUS,
    status=429,
    headers={"server": "Google Frontend", "content-type": "text/plain"},
    body="Rate exceeded.",
)


class LoopClock:
    """The time of the running event loop; fractions go round in a circle, tokens count."""

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


def nothing() -> Failure | None:
    """No failure: all is well."""


@dataclass(slots=True, kw_only=True)
class Life:
    """A life of the instance; times are seconds since the loop's beginning."""

    started: float
    ready: float | None = None
    ended: float | None = None
    why: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class SleepingGpu:
    """One instance at most. `start_s` gives the seconds of the next start; an answer has `words` words.

    `unproven` tells why who asks has no token now, `refusal` what the service answers to the one that they have. The
    first token takes `proof_s` to come.
    """

    start_s: Callable[[], float]
    abandoned_starts: bool = True
    concurrency: int = 8
    tail_s: float = 600.0
    average_s: float | None = None
    words: int = 4
    word_s: float = 0.05
    first_word_s: float = 0.1
    unproven: Callable[[], Failure | None] = nothing
    refusal: Callable[[], Failure | None] = nothing
    proofs: int = 0
    proof_s: float = 0.0
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
        self.proofs += 1
        await asyncio.sleep(max(0.0, self.proof_s - self.now))
        if failure := self.unproven():
            raise BackendError(failure)

    async def probe(self) -> None:
        async with self.place():
            pass

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        async with self.place():
            self.admitted.append(call.items[-1].text)
            yield self.speak(call)

    async def speak(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        await asyncio.sleep(self.first_word_s)
        said = len(call.partial.split())
        for number in range(said, self.words):
            yield TextPiece(text=f"{' ' if number else ''}word{number}")
            await asyncio.sleep(self.word_s)
        yield AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=300, output_tokens=self.words))

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        self.arrivals.append(self.now)
        if failure := self.refusal():
            raise BackendError(failure)
        await self.seat()
        try:
            yield
        finally:
            self.busy -= 1
            self.balance()

    async def seat(self) -> None:
        """Stand in line; the service gives up in the end, and goes on with the start."""
        place = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        self.balance()
        average = self.start_s() if self.average_s is None else self.average_s
        try:
            async with asyncio.timeout(max(HOLD_STARTS * average, HOLD_LEAST_S)):
                await place
        except TimeoutError:
            self.forgo(place)
            raise BackendError(RATE_EXCEEDED) from None
        except asyncio.CancelledError:
            self.forgo(place)
            if not (self.waiting or self.busy or self.abandoned_starts or self.is_up):
                self.end("abandoned")
            raise

    def forgo(self, place: asyncio.Future[None]) -> None:
        if place in self.waiting:
            self.waiting.remove(place)
        elif not place.cancelled():
            self.busy -= 1
            self.balance()

    def balance(self) -> None:
        while self.is_up and self.waiting and self.busy < self.concurrency:
            place = self.waiting.popleft()
            if not place.done():
                self.busy += 1
                place.set_result(None)
        if self.waiting and self.life is None:
            self.lives.append(Life(started=self.now))
            self.set_timer(self.start_s(), self.ready)
        elif self.is_up:
            self.set_timer(self.tail_s, self.end)

    def ready(self) -> None:
        if self.life:
            self.life.ready = self.now
            self.balance()

    def end(self, why: str = "idle") -> None:
        life = self.life
        if life and not (life.ready is not None and self.busy):
            life.ended, life.why = self.now, why
            self.set_timer(0, None)

    def set_timer(self, seconds: float, then: Callable[[], None] | None) -> None:
        if self.timer:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(seconds, then) if then else None
