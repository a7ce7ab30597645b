"""How do tests play turns on a GPU whose instances the product counts, with its timers and its ledger?"""

import asyncio
from collections.abc import Callable, Sequence
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from clients.instances.port import NoCounter
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure
from domain.fleet.instances.scaling import DAY_S, CountLimits, InstanceControl, Scaling, ScheduleRow
from domain.identity.owners import Owner
from domain.money.costing import time_cost
from domain.money.ledger_records import NANOS
from domain.money.usage import COST
from domain.turns.response import Response
from tests.activities.cold_starts import RESTART_S, Cluster, cold_gpu, cold_of, kill
from tests.checks import every
from tests.domain.fleets import GPU
from tests.fakes.clocks import START, in_no_time
from tests.fakes.machines.counted_gpus import CountedGpu
from tests.fakes.machines.gpu_pools import GpuPool
from tests.fakes.worlds import OWNER

IDLE_S = 90.0
TIMER_S = 20.0
SERVICE = InstanceControl(service="projects/p/locations/europe-west4/services/llm")
CLOSED = 400.0
"""After so many seconds without requests, every session is closed and posted."""


def counted(scaling: Scaling = Scaling.COUNT, control: InstanceControl | None = SERVICE) -> Backend:
    cold = replace(cold_of(20.0), idle_s=IDLE_S)
    return replace(cold_gpu(cold), scaling=scaling, instances=control)


def schedule(minimum: int, maximum: int, *, ends_s: int) -> InstanceControl:
    """Return a control whose schedule has these limits at first, for so many seconds of the day."""
    limits = CountLimits(minimum=minimum, maximum=maximum)
    day_s = int(START) % DAY_S
    row = ScheduleRow(days=frozenset(range(7)), begins_s=day_s, ends_s=day_s + ends_s, limits=limits)
    return replace(SERVICE, schedule=(row,), payer="operator")


@dataclass(slots=True, kw_only=True)
class Scene:
    """A counted GPU, its cluster, and the timers of the product."""

    gpu: Any = field(default_factory=lambda: CountedGpu(start_s=lambda: 20.0))
    backend: Backend = field(default_factory=counted)
    responses: list[Response] = field(default_factory=list[Response])
    timers: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    cluster: Cluster = field(init=False)

    def __post_init__(self) -> None:
        counter = self.gpu if isinstance(self.gpu, CountedGpu | GpuPool) else NoCounter()
        self.cluster = Cluster(backends={"gpu": (self.backend, self.gpu)}, instance_counter=counter)

    async def turn(self, owner: Owner = OWNER) -> None:
        response = await self.cluster.world.admit("hello", owner=owner)
        self.responses.append(response)
        await self.cluster.respond(response)

    def burst(self, turns: int) -> list[asyncio.Task[None]]:
        """Let so many turns come at once."""
        return [asyncio.create_task(self.turn()) for _ in range(turns)]

    def start_timers(self) -> None:
        self.timers = [asyncio.create_task(self.run_timer())]

    async def run_timer(self) -> None:
        while True:
            await asyncio.sleep(TIMER_S)
            await self.cluster.world.app.instance_timer.run()
            await self.cluster.world.app.maintenance.session_closer.close_sessions()

    async def kill_process(self, tasks: Sequence[asyncio.Task[None]] = ()) -> None:
        world = self.cluster.world
        await kill([*tasks, *world.warmer.background_tasks, *world.app.activities.keeper.tasks])
        await asyncio.sleep(RESTART_S)
        self.cluster.world = self.cluster.new_process()

    async def die(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Let the process die in the middle of turns, which are delivered again to the next one."""
        await self.kill_process(tasks)
        await asyncio.gather(*(self.cluster.respond(response) for response in self.responses))

    async def end(self) -> None:
        await asyncio.sleep(CLOSED)
        await kill(self.timers)
        assert self.gpu.life is None

    def refuse_while(self, failure: Failure, holds: Callable[[int], bool]) -> None:
        """Let the Admin API refuse a count while a condition of the count holds."""

        def refusal(count: int) -> Failure | None:
            return failure if holds(count) else None

        self.gpu.refusal = refusal

    @property
    def bill(self) -> Decimal:
        """What the provider bills: each instance from its start to its end."""
        lives = [(life.started, life.ended) for life in self.gpu.lives]
        return sum((time_cost(GPU, (ended or self.gpu.now) - started) for started, ended in lives), Decimal(0))

    async def ledger(self) -> Decimal:
        records = [
            record for each in self.responses for record in await self.cluster.world.ledger.records(each.owner, each.id)
        ]
        assert every(record.charge.cost is not None for record in records), records
        return sum((record.charge.cost or Decimal(0) for record in records), Decimal(0))

    async def assert_paid(self) -> None:
        assert await self.ledger() == self.bill
        sessions = await self.cluster.world.app.state.gpu_session_billing.closed_sessions(self.backend)
        assert len(sessions) == len(self.gpu.lives)


async def usage_of(scene: Scene, owner: Owner) -> Decimal:
    """Return what a tenant has paid that has sent no turn."""
    rows = await scene.cluster.world.app.state.usage_rows.of_tenant(owner.tenant, first="2000-01-01", last="2099-12-31")
    return sum((row.counts.get(COST, 0) for row in rows), 0) / NANOS


def run(story: Callable[[Scene], object], scene: Callable[[], Scene] = Scene) -> None:
    async def told() -> None:
        one = scene()
        one.start_timers()
        await story(one)  # pyright: ignore[reportGeneralTypeIssues] - a coroutine function

    in_no_time(told())


START_S, ROOM, MOST = 20.0, 2, 3
"""A pool's instances start in so many seconds and have room for so many requests each; it has at most so many."""


def pool(**changes: Any) -> GpuPool:
    """Return the instances that the product counts, each of which answers in 20 s."""
    return GpuPool(start_s=lambda: START_S, concurrency=ROOM, words=4, word_s=5.0, **changes)


def inferred() -> Backend:
    """Return a GPU whose provider starts instances that the product does not see."""
    return replace(cold_gpu(cold_of(START_S), concurrency=ROOM), max_instances=MOST)


def inferred_scene() -> Scene:
    return Scene(gpu=pool(max_instances=MOST, is_counted=False), backend=inferred())
