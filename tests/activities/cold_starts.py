"""What happens when turns need a cold GPU? Whole turns, in an event loop whose timers cost no time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from clients.backends.port import BackendClient
from clients.instances.port import InstanceCounter, NoCounter
from clients.orchestrations import turn_wire
from domain.fleet.catalog import Backend, ColdStart, FailureSignature
from domain.fleet.failure_classes import FailureClass
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from tests.domain.fleets import GPU as GPU_PRICE
from tests.fakes.machines.gpus import LoopClock, SleepingGpu
from tests.fakes.orchestration import Run
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import PRICE, World, backend

ANSWER = "word0 word1 word2 word3"
RESTART_S = 1.0
EXPENSIVE = replace(PRICE, name="expensive", input=Decimal(10), output=Decimal(40))
"""The price of an API that is more expensive than the GPU."""

CLOUD_RUN = (
    FailureSignature(failure_class=FailureClass.COLD, statuses=(429,), body="Rate exceeded", note="one is starting"),
    FailureSignature(failure_class=FailureClass.COLD, statuses=(500,), note="one is starting"),
)


def cold_gpu(cold: ColdStart, *, concurrency: int = 8, name: str = "gpu") -> Backend:
    made = backend(name)
    limits = replace(made.limits, concurrency=concurrency)
    return replace(made, price=GPU_PRICE, cold_start=cold, limits=limits, signatures=CLOUD_RUN)


def cold_of(p50_s: float, p99_s: float | None = None, *, abandoned_starts: bool = True) -> ColdStart:
    worst_s = p50_s if p99_s is None else p99_s
    return ColdStart(scales_to_zero=True, p50_s=p50_s, p99_s=worst_s, idle_s=600, abandoned_starts=abandoned_starts)


@dataclass(frozen=True, slots=True)
class Span:
    """One run of one activity, in seconds since the loop's start."""

    name: str
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@dataclass(slots=True, kw_only=True)
class Cluster:
    """A store, a clock, backends, and one process after another that runs the turns."""

    backends: Mapping[str, tuple[Backend, BackendClient]]
    clock: LoopClock = field(default_factory=LoopClock)
    instance_counter: InstanceCounter = field(default_factory=NoCounter)
    store: MemoryStore = field(init=False)
    world: World[LoopClock] = field(init=False)
    spans: list[Span] = field(default_factory=list[Span])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.world = self.new_process()

    def new_process(self) -> World[LoopClock]:
        world = World(
            store=self.store, clock=self.clock, backends=self.backends, instance_counter=self.instance_counter
        )
        world.steps = {name: self.timed(name, step) for name, step in world.steps.items()}
        return world

    def timed(self, name: str, step: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def run(request: Any) -> Any:
            started = asyncio.get_running_loop().time()
            try:
                return await step(request)
            finally:
                self.spans.append(Span(name, started, asyncio.get_running_loop().time()))

        return run

    async def respond(self, response: Response) -> None:
        run = self.runs.setdefault(response.id, Run(clock=self.clock, steps={}, done=[], history=[]))
        run.steps = self.world.steps
        await run.respond(turn_wire(response))

    async def run(self, responses: Sequence[Response], *, kills: Sequence[float] = ()) -> None:
        """Run turns to their ends. The process is killed at each of these times and started again."""
        loop = asyncio.get_running_loop()
        for at in kills:
            tasks = [asyncio.create_task(self.respond(response)) for response in responses]
            await asyncio.wait(tasks, timeout=max(0.0, at - loop.time()))
            await kill([*tasks, *self.world.warmer.background_tasks, *self.world.app.activities.keeper.tasks])
            await asyncio.sleep(RESTART_S)
            self.world = self.new_process()
        await asyncio.gather(*(self.respond(response) for response in responses))

    async def assert_answered(self, responses: Sequence[Response], answer: str = ANSWER) -> None:
        for response in responses:
            log = await self.world.log(response)
            assert log.status is ResponseStatus.COMPLETED, log.ending
            assert [item.text for item in log.items] == [answer]

    async def first_token_s(self, response: Response) -> float:
        """Return when the log had the first word of an answer, in seconds since the loop's start."""
        slots = await self.world.turns.slots(response.owner, response.id)
        return next(slot.at for slot in slots if slot.pieces) - self.clock.now() + asyncio.get_running_loop().time()

    def longest(self, *names: str) -> float:
        return max((span.seconds for span in self.spans if span.name in names), default=0.0)


async def kill(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel the tasks of a process; its connections close."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def cluster_with(gpu: SleepingGpu, cold: ColdStart, **others: tuple[Backend, BackendClient]) -> Cluster:
    return Cluster(backends={"gpu": (cold_gpu(cold, concurrency=gpu.concurrency), gpu), **others})
