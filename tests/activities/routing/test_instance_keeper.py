"""Does the product end the instances that it counts, in time and at the right price, whatever fails?"""

import asyncio
from copy import replace
from itertools import pairwise

import pytest

from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.instances.scaling import DAY_S, CountLimits, Scaling, ScheduleRow
from domain.identity.owners import Owner
from domain.ids import operator_warm_up_id
from domain.log.events import ResponseStatus
from domain.money.costing import time_cost
from domain.routing.queueing import QueuedTurn, QueueWait
from tests.activities.cold_starts import kill
from tests.activities.gpus.counted_scenes import (
    CLOSED,
    IDLE_S,
    SERVICE,
    TIMER_S,
    Scene,
    counted,
    run,
    schedule,
    usage_of,
)
from tests.domain.fleets import GPU
from tests.fakes.clocks import START
from tests.fakes.machines.counted_gpus import CountedGpu
from tests.fakes.machines.gpus import Life, SleepingGpu
from tests.fakes.worlds import OWNER


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
        await scene.die([task])
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


def test_a_session_whose_machine_any_request_may_have_started_begins_no_later_than_its_warm_up() -> None:
    async def story(scene: Scene) -> None:
        app, by = scene.cluster.world.app, operator_warm_up_id("1")
        await app.activities.keeper.hold(scene.backend, by)
        assert await app.state.gpu_sessions.warm_up(scene.backend, OWNER, by, cold_s=20.0, worst_s=60.0)
        await asyncio.sleep(5)
        await app.activities.keeper.start(scene.backend, by)
        found = (await app.state.gpu_sessions.current(scene.backend)).session
        assert found
        assert found.started == START
        await kill([*app.activities.keeper.tasks, *scene.timers])

    run(story, kept_alive)


@pytest.mark.parametrize("at", [5.0, 30.0, 60.0])
def test_an_instance_that_nobody_keeps_alive_ends_with_its_process(at: float) -> None:
    async def story(scene: Scene) -> None:
        task = asyncio.create_task(scene.turn())
        await asyncio.sleep(at)
        await scene.die([task])
        await scene.end()
        await scene.cluster.assert_answered(scene.responses)
        await scene.assert_paid()

    run(story, kept_alive)
