"""Does the product end the instances that it counts, in time and at the right price, whatever fails?"""

import asyncio
from collections.abc import Callable, Sequence
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from clients.instances.port import NoCounter
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.instances.scaling import DAY_S, CountLimits, InstanceControl, Scaling, ScheduleRow
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.money.costing import time_cost
from domain.money.ledger_records import NANOS
from domain.money.usage import COST
from domain.routing.queueing import QueuedTurn, QueueWait
from domain.turns.response import Response
from tests.activities.cold_starts import RESTART_S, Cluster, cold_gpu, cold_of, kill
from tests.checks import every
from tests.domain.fleets import GPU
from tests.fakes.clocks import START, in_no_time
from tests.fakes.machines.counted_gpus import CountedGpu
from tests.fakes.machines.gpu_pools import GpuPool
from tests.fakes.machines.gpus import Life, SleepingGpu
from tests.fakes.worlds import OWNER

IDLE_S = 90.0
TIMER_S = 20.0
SERVICE = InstanceControl(service="projects/p/locations/europe-west4/services/llm")
CLOSED = 400.0
"""After so many seconds without requests, every session is closed and posted."""


def counted(scaling: Scaling = Scaling.COUNT, control: InstanceControl | None = SERVICE) -> Backend:
    cold = replace(cold_of(20.0), idle_s=IDLE_S)
    return replace(cold_gpu(cold), scaling=scaling, instances=control)


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


def run(story: Callable[[Scene], object], scene: Callable[[], Scene] = Scene) -> None:
    async def told() -> None:
        one = scene()
        one.start_timers()
        await story(one)  # pyright: ignore[reportGeneralTypeIssues] - a coroutine function

    in_no_time(told())


def test_a_count_is_set_to_one_and_to_zero_after_the_idle_period() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        ended_at = asyncio.get_running_loop().time()
        await scene.end()
        assert [count for _, count in scene.gpu.calls] == [1, 0]
        assert scene.gpu.calls[1][0] == pytest.approx(ended_at + IDLE_S, abs=0.5)
        await scene.assert_paid()

    run(story)


@pytest.mark.parametrize("idle_s", [1.0, 10.0])
def test_a_short_idle_period_ends_an_instance_to_the_second(idle_s: float) -> None:
    async def story(scene: Scene) -> None:
        for _ in range(2):
            await scene.turn()
            ended_at = asyncio.get_running_loop().time()
            await asyncio.sleep(30.0)
            assert scene.gpu.calls[-1] == (pytest.approx(ended_at + idle_s, abs=0.5), 0)
        await scene.end()
        await scene.assert_paid()

    short = replace(counted(), cold_start=replace(counted().cold_start, idle_s=idle_s))
    run(story, lambda: Scene(backend=short))


def test_requests_in_the_idle_period_lengthen_one_session() -> None:
    async def story(scene: Scene) -> None:
        for _ in range(4):
            await scene.turn()
            await asyncio.sleep(IDLE_S - 10)
        await scene.end()
        assert [count for _, count in scene.gpu.calls] == [1, 0]
        await scene.assert_paid()

    run(story)


def test_after_the_end_the_next_turn_starts_a_session_of_its_own() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        await asyncio.sleep(IDLE_S + 30)
        await scene.turn()
        await scene.end()
        assert [count for _, count in scene.gpu.calls] == [1, 0, 1, 0]
        await scene.assert_paid()

    run(story)


@pytest.mark.parametrize("at", [0.1, 0.5, 10.0, 20.0, 20.3, 60.0, 100.0, 110.2, 110.4])
def test_an_instance_ends_in_time_although_its_process_dies(at: float) -> None:
    async def story(scene: Scene) -> None:
        task = asyncio.create_task(scene.turn())
        await asyncio.sleep(at)
        await scene.kill_process([task])
        for response in scene.responses:
            await scene.cluster.respond(response)
        last = max(asyncio.get_running_loop().time(), at)
        await scene.end()
        await scene.cluster.assert_answered(scene.responses)
        assert len(scene.gpu.lives) == 1
        life = scene.gpu.lives[0]
        assert life.ended is not None
        assert life.ended <= last + IDLE_S + TIMER_S + 1
        await scene.assert_paid()

    run(story)


def test_an_instance_ends_although_every_turn_is_lost() -> None:
    async def story(scene: Scene) -> None:
        task = asyncio.create_task(scene.turn())
        await asyncio.sleep(5)
        await scene.kill_process([task])
        await asyncio.sleep(CLOSED)
        assert scene.gpu.life is None
        await kill(scene.timers)
        assert [count for _, count in scene.gpu.calls] == [1, 0]
        await scene.assert_paid()

    run(story)


@pytest.mark.parametrize("status", [409, 429, 503])
def test_a_refused_end_is_repeated_and_the_ledger_shows_what_the_delay_cost(status: int) -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        due = asyncio.get_running_loop().time() + IDLE_S
        until = due + 100
        refused = Failure(kind=FailureKind.STATUS, status=status, body="not now")
        scene.refuse_while(refused, lambda _count: scene.gpu.now < until)
        await scene.end()
        life = scene.gpu.lives[0]
        assert life.ended is not None
        assert until <= life.ended <= until + 31
        await scene.assert_paid()
        assert await scene.ledger() >= time_cost(GPU, life.ended - life.started)

    run(story)


def test_a_change_of_state_does_not_shorten_the_pause_after_a_refused_end() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        until = asyncio.get_running_loop().time() + IDLE_S + 20
        refused = Failure(kind=FailureKind.STATUS, status=503, body="not now")
        scene.refuse_while(refused, lambda count: count == 0 and scene.gpu.now < until)
        for _ in range(10 * (int(IDLE_S) + 20)):
            await asyncio.sleep(0.1)
            scene.cluster.world.app.state.backend_states.changes.announce("gpu")
        await scene.end()
        tries = [at for at, count in scene.gpu.calls if count == 0]
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert pauses == [pytest.approx(2.0**number, abs=0.2) for number in range(len(pauses))]
        assert len(pauses) >= 4
        await scene.assert_paid()

    run(story)


def test_turns_in_line_do_not_keep_up_what_the_schedule_allows_no_longer() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.sleep(100)
        assert scene.gpu.is_up
        states, clock = scene.cluster.world.app.state.backend_states, scene.cluster.clock
        line = QueuedTurn(response="resp_other", input_tokens=10, admitted_at=clock.now(), hold_s=0.0)
        wait = QueueWait(delay_s=1.0, kept_until=clock.now() + 2000.0, reason="other turns come first")
        await states.record_queued_turn(scene.backend, line, wait)
        await asyncio.sleep(500)
        await kill(scene.timers)
        assert scene.gpu.lives[0].ended == pytest.approx(200, abs=1.0)

    rows = (*schedule(1, 1, ends_s=200).schedule, closed(begins_s=200, ends_s=1000))
    run(story, lambda: Scene(backend=counted(control=replace(SERVICE, schedule=rows, payer="operator"))))


def closed(*, begins_s: int, ends_s: int) -> ScheduleRow:
    """Return a row that allows no instance between these seconds after the story's start."""
    day_s = int(START) % DAY_S
    limits = CountLimits(minimum=0, maximum=0)
    return ScheduleRow(days=frozenset(range(7)), begins_s=day_s + begins_s, ends_s=day_s + ends_s, limits=limits)


def test_a_slow_operation_is_paid_until_it_ends() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        ended_at = asyncio.get_running_loop().time()
        await scene.end()
        life = scene.gpu.lives[0]
        assert life.ended == pytest.approx(ended_at + IDLE_S + 40, abs=0.5)
        await scene.assert_paid()

    run(story, lambda: Scene(gpu=CountedGpu(start_s=lambda: 20.0, change_s=40.0)))


def test_a_start_that_is_not_permitted_costs_nothing_and_says_why() -> None:
    denied = Failure(kind=FailureKind.STATUS, status=403, body="Permission 'run.services.update' denied")

    async def story(scene: Scene) -> None:
        scene.refuse_while(denied, lambda _count: True)
        await scene.turn()
        log = await scene.cluster.world.log(scene.responses[0])
        assert log.status is ResponseStatus.FAILED
        states = await scene.cluster.world.app.state.backend_states.read({"gpu": scene.backend})
        failed = states["gpu"].warmth.failed_warm_up
        assert failed is not None
        assert "403" in failed.reason
        assert await scene.cluster.world.app.state.count_leases.read(scene.backend) is None
        assert await scene.ledger() == 0
        await kill(scene.timers)

    run(story)


def test_a_start_is_repeated_while_the_api_is_busy_and_paid_from_when_it_was_accepted() -> None:
    busy = Failure(kind=FailureKind.STATUS, status=409, body="Conflict for resource")

    async def story(scene: Scene) -> None:
        scene.refuse_while(busy, lambda count: count > 0 and scene.gpu.now < 4)
        await scene.turn()
        await scene.cluster.assert_answered(scene.responses)
        await scene.end()
        assert scene.gpu.lives[0].started >= 4
        await scene.assert_paid()

    run(story)


@pytest.mark.slow
def test_a_start_of_which_no_answer_came_is_ended_and_paid() -> None:
    lost = Failure(kind=FailureKind.READ_TIMEOUT)

    async def story(scene: Scene) -> None:
        def refusal(count: int) -> Failure | None:
            if count and scene.gpu.life is None:
                scene.gpu.lives.append(Life(started=scene.gpu.now))
            scene.gpu.count = count
            return lost if count else None

        scene.gpu.refusal = refusal
        await scene.turn()
        await scene.end()
        assert scene.gpu.count == 0
        assert await scene.ledger() >= scene.bill > 0

    run(story)


def schedule(minimum: int, maximum: int, *, ends_s: int) -> InstanceControl:
    """Return a control whose schedule has these limits at first, for so many seconds of the day."""
    limits = CountLimits(minimum=minimum, maximum=maximum)
    day_s = int(START) % DAY_S
    row = ScheduleRow(days=frozenset(range(7)), begins_s=day_s, ends_s=day_s + ends_s, limits=limits)
    return replace(SERVICE, schedule=(row,), payer="operator")


def test_a_minimum_keeps_an_instance_up_until_its_schedule_ends() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.sleep(500)
        assert scene.gpu.is_up
        states = await scene.cluster.world.app.state.backend_states.read({"gpu": scene.backend})
        assert states["gpu"].warmth.is_warm(scene.cluster.clock.now())
        await scene.turn()
        await asyncio.sleep(700)
        await kill(scene.timers)
        assert [count for _, count in scene.gpu.calls] == [1, 0]
        assert scene.gpu.lives[0].ended == pytest.approx(1000, abs=1.0)
        owner = Owner(tenant="operator", subject="schedule")
        rows = await usage_of(scene, owner)
        assert rows + await scene.ledger() == scene.bill
        assert rows > await scene.ledger() > 0

    run(story, lambda: Scene(backend=counted(control=schedule(1, 1, ends_s=1000))))


async def usage_of(scene: Scene, owner: Owner) -> Decimal:
    """Return what a tenant has paid that has sent no turn."""
    rows = await scene.cluster.world.app.state.usage_rows.of_tenant(owner.tenant, first="2000-01-01", last="2099-12-31")
    return sum((row.counts.get(COST, 0) for row in rows), 0) / NANOS


def test_a_maximum_of_zero_starts_nothing_and_says_until_when() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        log = await scene.cluster.world.log(scene.responses[0])
        assert log.status is ResponseStatus.FAILED
        assert scene.gpu.calls == []
        await asyncio.sleep(1000)
        await scene.turn()
        await scene.cluster.assert_answered(scene.responses[1:])
        await scene.end()
        await scene.assert_paid()

    run(story, lambda: Scene(backend=counted(control=schedule(0, 0, ends_s=1000))))


KEPT_ALIVE = 30.0
"""The idle period of a provider, in seconds, which is shorter than the product's."""


def kept_alive() -> Scene:
    backend = counted(Scaling.REQUESTS, None)
    price = replace(GPU, idle_s=KEPT_ALIVE)
    gpu = SleepingGpu(start_s=lambda: 20.0, idle_s=KEPT_ALIVE)
    return Scene(gpu=gpu, backend=replace(backend, price=price))


def test_an_instance_is_kept_alive_by_requests_until_its_idle_period_is_over() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        ended_at = asyncio.get_running_loop().time()
        await asyncio.sleep(IDLE_S - 1)
        assert scene.gpu.is_up
        await scene.end()
        assert len(scene.gpu.lives) == 1
        life = scene.gpu.lives[0]
        assert life.ended is not None
        assert ended_at + IDLE_S <= life.ended <= ended_at + IDLE_S + KEPT_ALIVE
        await scene.assert_paid()

    run(story, kept_alive)


@pytest.mark.parametrize("at", [5.0, 30.0, 60.0])
def test_an_instance_that_nobody_keeps_alive_ends_with_its_process(at: float) -> None:
    async def story(scene: Scene) -> None:
        task = asyncio.create_task(scene.turn())
        await asyncio.sleep(at)
        await scene.kill_process([task])
        for response in scene.responses:
            await scene.cluster.respond(response)
        await scene.end()
        await scene.cluster.assert_answered(scene.responses)
        await scene.assert_paid()

    run(story, kept_alive)
