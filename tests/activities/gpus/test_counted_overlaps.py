"""Is a counted instance ended and paid where a start meets an end, or after an interrupted start or a new release?"""

import asyncio
from copy import replace

import pytest

from domain.errors import Unavailable
from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.instances.scaling import Scaling
from domain.money.costing import time_cost
from tests.activities.cold_starts import kill
from tests.activities.gpus.counted_scenes import CLOSED, IDLE_S, Scene, counted, run, schedule
from tests.domain.fleets import GPU
from tests.fakes.machines.counted_gpus import CountedGpu
from tests.fakes.machines.gpus import Life
from tests.fakes.worlds import OWNER

BUSY = Failure(kind=FailureKind.STATUS, status=409, body="Conflict for resource")


def test_a_turn_that_comes_while_the_count_is_set_to_zero_pays_for_its_own_start() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        await asyncio.sleep(IDLE_S + 10)
        assert [count for _, count in scene.gpu.calls] == [1, 0]
        await scene.turn()
        await scene.cluster.assert_answered(scene.responses)
        await scene.end()
        assert [count for _, count in scene.gpu.calls] == [1, 0, 1, 0]
        await scene.assert_paid()

    run(story, lambda: Scene(gpu=CountedGpu(start_s=lambda: 20.0, change_s=30.0)))


def test_a_start_that_takes_over_a_slow_end_keeps_its_lease() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        await asyncio.sleep(IDLE_S + 10)
        await scene.turn()
        await scene.cluster.assert_answered(scene.responses)
        await asyncio.sleep(2 * CLOSED)
        await scene.end()
        assert scene.gpu.count == 0
        assert await scene.ledger() == scene.bill

    run(story, lambda: Scene(gpu=CountedGpu(start_s=lambda: 20.0, change_s=120.0)))


def test_an_instance_that_could_not_be_ended_is_ended_although_a_start_failed_meanwhile() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        until = asyncio.get_running_loop().time() + IDLE_S + 200
        scene.refuse_while(BUSY, lambda _count: scene.gpu.now < until)
        await asyncio.sleep(IDLE_S + 10)
        await scene.turn()
        await scene.end()
        assert scene.gpu.count == 0

    run(story)


@pytest.mark.slow
def test_a_start_whose_first_answer_was_lost_is_ended_and_paid() -> None:
    lost = Failure(kind=FailureKind.READ_TIMEOUT)

    async def story(scene: Scene) -> None:
        def refusal(count: int) -> Failure | None:
            if not count:
                return None
            if scene.gpu.life is None:
                scene.gpu.lives.append(Life(started=scene.gpu.now))
                scene.gpu.count = count
                return lost
            return BUSY

        scene.gpu.refusal = refusal
        await scene.turn()
        await scene.end()
        assert scene.gpu.count == 0
        assert await scene.ledger() >= scene.bill > 0

    run(story)


@pytest.mark.slow
def test_a_warm_up_that_died_before_its_start_is_no_session() -> None:
    async def story(scene: Scene) -> None:
        keeper = scene.cluster.world.app.activities.keeper

        async def die(*_: object) -> None:
            raise Unavailable("the process ends here", delay_s=1.0)

        keeper.take_lease = die  # pyright: ignore[reportAttributeAccessIssue] - one step of this process
        task = asyncio.create_task(scene.turn())
        await asyncio.sleep(5)
        await scene.kill_process([task])
        await asyncio.sleep(5000)
        await scene.turn()
        await scene.end()
        await scene.assert_paid()

    run(story)


def test_a_session_without_a_lease_is_not_paid_until_the_next_turn() -> None:
    async def story(scene: Scene) -> None:
        sessions = scene.cluster.world.app.state.gpu_sessions
        assert await sessions.warm_up(scene.backend, OWNER, "resp_gone", cold_s=20, worst_s=20)
        await asyncio.sleep(5000)
        await scene.turn()
        await scene.end()
        assert await scene.ledger() == scene.bill > 0

    run(story)


def test_a_warm_up_that_no_budget_covers_leaves_no_lease() -> None:
    async def story(scene: Scene) -> None:
        keeper = scene.cluster.world.app.activities.keeper
        await keeper.hold(scene.backend, "resp_poor")
        await keeper.let_go(scene.backend, "resp_rich")
        assert await keeper.leases.read(scene.backend)
        await keeper.let_go(scene.backend, "resp_poor")
        assert await keeper.leases.read(scene.backend) is None
        await kill(scene.timers)

    run(story)


def test_a_release_without_the_minimum_ends_the_instance_soon() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.sleep(505)
        assert scene.gpu.is_up
        scene.cluster.backends = {"gpu": (counted(), scene.gpu)}
        await scene.kill_process()
        await asyncio.sleep(900)
        await scene.end()

    run(story, lambda: Scene(backend=counted(control=schedule(1, 1, ends_s=20_000))))


def test_a_release_that_counts_no_more_ends_the_session_that_is_open() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        await asyncio.sleep(5)
        life = scene.gpu.lives[0]
        life.ended, scene.gpu.count, scene.gpu.is_counted = scene.gpu.now, 0, False
        released = replace(counted(), scaling=Scaling.PROVIDER, instances=None)
        scene.cluster.backends = {"gpu": (released, scene.gpu)}
        await scene.kill_process()
        await asyncio.sleep(5000)
        await scene.turn()
        await asyncio.sleep(2 * CLOSED)
        await kill(scene.timers)
        await scene.cluster.assert_answered(scene.responses)
        closed = await scene.cluster.world.app.state.gpu_session_billing.closed_sessions(released)
        assert len(closed) == len(scene.gpu.lives)
        assert 0 < await scene.ledger() < time_cost(GPU, 1500)

    run(story)
