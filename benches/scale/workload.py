"""What does one worker run in this benchmark? The product's own limits, admission, steps and orchestration.

All turns belong to one tenant and go to one GPU that is up; each caller is an owner of its own. Only the backend is
made up: it answers after `ANSWER_S` seconds.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from benches.money import GPU
from benches.scale.metered_store import MeteredStore
from clients.backends.port import AnswerEnd, BackendCall, TextPiece
from clients.clock import Clock
from clients.orchestrations import turn_wire
from clients.storage.port import DocumentStore
from domain.fleet.catalog import BackendLimits
from domain.fleet.learned_speed import Observation
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus, TokenUsage
from domain.money.budgets import OF_TENANTS, Budgets, BudgetScope
from domain.turns.rate_limits import RateLimit, RateLimits
from domain.turns.response import Response
from tests.fakes.orchestration import Run
from tests.fakes.worlds import SETTINGS, World

ANSWER_S = 2.0
TENANT = "scale"
MANY = 1_000_000
RAISED = RateLimit(per_minute=MANY, burst=MANY, running=MANY)
BUDGETS = Budgets(limits={scope: Decimal(100_000) for scope in OF_TENANTS if scope is not BudgetScope.RESPONSE})
BACKEND = replace(
    GPU, limits=BackendLimits(context_tokens=4096, max_output_tokens=2048, concurrency=MANY, request_timeout_s=600)
)
PAGED = replace(BACKEND, limits=replace(BACKEND.limits, kv_tokens=320_000))
"""The same with KV memory for 400 turns and a quarter more: each claims some 600 tokens at most."""

ANSWER = ("an", " answer", " of", " four", " words")

type Step = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class SteadyGpu:
    """Answers each request at once with its first word, and after `ANSWER_S` seconds with the last one."""

    clock: Clock

    async def authenticate(self) -> None:
        await asyncio.sleep(0)

    async def probe(self) -> None:
        await asyncio.sleep(0)

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        await asyncio.sleep(0)
        yield self.speak(call.partial)

    async def speak(self, partial: str) -> AsyncIterator[TextPiece | AnswerEnd]:
        for word in ANSWER[len(partial.split()) :]:
            yield TextPiece(text=word)
            await self.clock.sleep(ANSWER_S / len(ANSWER))
        yield AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=300, output_tokens=len(ANSWER)))


class ScaleWorker:
    """One worker process with its own view of the store."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        *,
        added_s: float,
        tenant: str = TENANT,
        claims_memory: bool = False,
    ) -> None:
        self.clock = clock
        self.backend = PAGED if claims_memory else BACKEND
        self.tenant = tenant
        self.store = MeteredStore(store, clock, added_s)
        self.world = World(
            store=self.store,
            clock=clock,
            backends={BACKEND.name: (self.backend, SteadyGpu(clock))},
            settings=replace(SETTINGS, limits=RateLimits(owner=RAISED, tenant=RAISED), flush_s=0.5),
            budgets=BUDGETS,
        )

    async def prepare(self) -> None:
        """Let the GPU be up, as after an answer of now."""
        now = self.clock.now()
        seen = Observation(
            attempt="first",
            started_at=now - 2,
            first_token_at=now - 1,
            ended_at=now,
            input_tokens=300,
            output_tokens=50,
        )
        await self.world.app.state.backend_states.record_success(self.backend, seen)

    async def turn(self, caller: int, steps: Mapping[str, Step] | None = None) -> None:
        """Run one turn of a caller; `steps` are its activities, which may run on other workers."""
        owner = Owner(tenant=self.tenant, subject=f"user:{caller}")
        await self.world.app.state.rate_limiter.enter(owner, f"resp_{self.clock.token()}")
        response = await self.world.admit("hello", owner=owner, thread=self.clock.token())
        run = Run(clock=self.clock, steps=steps or self.world.steps, done=[], history=[])
        await run.respond(turn_wire(response))
        await self.check(response)

    async def check(self, response: Response) -> None:
        found = await self.world.turns.read(response.owner, response.id)
        if found.status is not ResponseStatus.COMPLETED:
            raise AssertionError(found)

    async def callers(self, numbers: range, turns: int, steps: Mapping[str, Step] | None = None) -> None:
        """Let callers run their turns one after the other, all at once; they begin spread over an answer's time.

        The callers of all workers together are numbered from 0 to the end of `numbers`.
        """

        async def caller(number: int, share: float) -> None:
            await self.clock.sleep(ANSWER_S * share)
            for _ in range(turns):
                await self.turn(number, steps)

        await asyncio.gather(*(caller(each, each / numbers.stop) for each in numbers))

    def forget_figures(self) -> None:
        self.store.calls.clear()
        self.store.conflicts.clear()
