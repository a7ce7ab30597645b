"""How do a GPU that scales to zero and an API behave in virtual time, and what do they bill?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import override

from benches.routing.arrivals import TrafficRequest
from clients.backends.port import AnswerEnd, BackendCall, TextPiece
from domain.fleet.catalog import Speed
from domain.log.events import TokenUsage
from domain.money.prices import TokenPrice
from tests.fakes.machines.counted_gpus import CountedGpu
from tests.fakes.machines.gpu_pools import GpuPool
from tests.fakes.machines.gpus import Life
from tests.fakes.machines.paged_engine import PagedEngine


async def answer(call: BackendCall, request: TrafficRequest, speed: Speed) -> AsyncIterator[TextPiece | AnswerEnd]:
    """Read the prompt, then write the answer: all of its text at the first token, its end at the last."""
    await asyncio.sleep(request.input_tokens / speed.prefill_tokens_s)
    if not call.partial:
        yield TextPiece(text="answer")
    await asyncio.sleep(request.output_tokens / speed.decode_tokens_s)
    yield AnswerEnd(
        reason="stop", usage=TokenUsage(input_tokens=request.input_tokens, output_tokens=request.output_tokens)
    )


def now() -> float:
    """Return the seconds since the loop's start."""
    return asyncio.get_running_loop().time()


def named(call: BackendCall, requests: Mapping[str, TrafficRequest]) -> TrafficRequest:
    """Return the request of a turn: its text begins with its name."""
    return requests[call.items[-1].text.partition(" ")[0]]


class BilledGpu:
    """What two services have in common that are billed from the start to the end of each of their instances.

    `work` is when each answer began and ended, in seconds since the loop's start.
    """

    requests: Mapping[str, TrafficRequest]
    speed: Speed
    lives: list[Life]
    work: list[tuple[float, float]]

    async def speak(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        began = now()
        async for piece in answer(call, named(call, self.requests), self.speed):
            yield piece
        self.work.append((began, now()))

    def seconds_after(self, since: float) -> float:
        """Return the seconds that are billed after a time, in seconds since the loop's start."""
        ended = ((life, now() if life.ended is None else life.ended) for life in self.lives)
        return sum(max(0.0, end - max(life.started, since)) for life, end in ended)

    def wasted_lives(self) -> int:
        """Return how many lives served no turn."""
        spans = [(life.started, now() if life.ended is None else life.ended) for life in self.lives]
        return sum(not any(started <= began <= ended for began, _ in self.work) for started, ended in spans)

    def idle_since(self, at: float) -> float | None:
        """Return when the work before a time ended, if the instance was up at that time; at most the time itself."""
        life = next((life for life in self.lives if life.started < at <= (life.ended or at)), None)
        if life is None:
            return None
        ends = [min(at, ended) for began, ended in self.work if life.started <= began < at]
        return max(ends, default=min(at, life.ready or at))


@dataclass(slots=True, kw_only=True, eq=False)
class GpuService(BilledGpu, CountedGpu):
    """One instance at most. Its provider ends it, or the product where it counts."""

    requests: Mapping[str, TrafficRequest]
    speed: Speed
    work: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


@dataclass(slots=True, kw_only=True, eq=False)
class PagedGpuService(GpuService):
    """One instance, whose engine has room for tokens and writes more slowly under load."""

    engine: PagedEngine

    @override
    async def speak(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        request, began = named(call, self.requests), now()
        sequence = self.engine.add(request.input_tokens, request.output_tokens)
        try:
            await sequence.first
            if not call.partial:
                yield TextPiece(text="answer")
            await sequence.done
        finally:
            self.engine.drop(sequence)
        usage = TokenUsage(input_tokens=request.input_tokens, output_tokens=request.output_tokens)
        yield AnswerEnd(reason="stop", usage=usage)
        self.work.append((began, now()))


@dataclass(slots=True, kw_only=True, eq=False)
class GpuPoolService(BilledGpu, GpuPool):
    """As many instances as the requests need, or as the product counts."""

    requests: Mapping[str, TrafficRequest]
    speed: Speed
    work: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


@dataclass(slots=True, kw_only=True)
class ApiService:
    """Always up, and billed by the token. `bills` are the time and the dollars of each call."""

    requests: Mapping[str, TrafficRequest]
    speed: Speed
    price: TokenPrice
    bills: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    async def authenticate(self) -> None:
        await asyncio.sleep(0)

    async def probe(self) -> None:
        await asyncio.sleep(0)

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        await asyncio.sleep(0)
        request = named(call, self.requests)
        self.bills.append((now(), token_dollars(self.price, request)))
        yield answer(call, request, self.speed)

    def dollars_after(self, since: float) -> float:
        return sum(dollars for at, dollars in self.bills if at >= since)


@dataclass(slots=True, kw_only=True)
class BoxService(ApiService):
    """Always up and paid anyway; requests beyond its room wait."""

    room: asyncio.Semaphore

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        async with self.room:
            yield answer(call, named(call, self.requests), self.speed)


def token_dollars(price: TokenPrice, request: TrafficRequest) -> float:
    return (request.input_tokens * float(price.input) + request.output_tokens * float(price.output)) / 1e6
