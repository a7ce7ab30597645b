"""How does a GPU service behave whose instances have paged KV memory each, and that sends each to the least busy?"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import override

from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.catalog import Speed
from domain.log.events import TokenUsage
from tests.fakes.machines.counted_gpus import NO_INSTANCE
from tests.fakes.machines.gpu_pools import GpuPool, Instance
from tests.fakes.machines.paged_engine import PagedEngine

SPEED = Speed(prefill_tokens_s=4000, decode_tokens_s=60)


@dataclass(slots=True, kw_only=True, eq=False)
class PagedPool(GpuPool):
    """A prompt has as many tokens as words; an answer has `words`, all shown at the first token."""

    tokens: int
    engines: dict[Instance, PagedEngine] = field(default_factory=dict[Instance, PagedEngine])
    served: list[Instance] = field(default_factory=list[Instance])

    @property
    def preempted(self) -> int:
        return sum(engine.preempted for engine in self.engines.values())

    @override
    def free(self) -> Instance | None:
        able = [each for each in self.instances if each.is_up and each.busy < self.concurrency]
        return min(able, key=lambda each: each.busy, default=None)

    @override
    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        self.arrivals.append(self.now)
        if self.is_counted and not self.count:
            raise BackendError(NO_INSTANCE)
        one = await self.admitted_by()
        self.served.append(one)
        engine = self.engines.setdefault(one, PagedEngine(tokens=self.tokens, speed=SPEED))
        try:
            yield self.computed(call, engine)
        finally:
            self.release(one)

    async def computed(self, call: BackendCall, engine: PagedEngine) -> AsyncIterator[TextPiece | AnswerEnd]:
        prompt = len(call.items[-1].text.split())
        sequence = engine.add(prompt, self.words)
        try:
            await sequence.first
            yield TextPiece(text="answer")
            await sequence.done
        finally:
            engine.drop(sequence)
        yield AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=prompt, output_tokens=self.words))
