"""Does a GPU get more instances when turns wait, and lose them again, with a session and a bill for each?"""

import asyncio
from copy import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.instances.numbered import number_of
from domain.fleet.instances.scaling import Scaling
from domain.fleet.instances.several import FIRST_PAUSE_S
from domain.identity.owners import Owner
from tests.activities.cold_starts import cold_gpu, cold_of, kill
from tests.activities.gpus.counted_scenes import ROOM, SERVICE, START_S, Scene, pool, run, schedule, usage_of
from tests.checks import every

IDLE_S = 30.0
FORGOTTEN = 4000.0
"""After so many seconds an attempt that died no longer counts as running."""


def several(most: int = 3) -> Backend:
    """Return a counted GPU of up to `most` instances with room for two requests each."""
    one = cold_gpu(replace(cold_of(START_S), idle_s=IDLE_S), concurrency=ROOM)
    control = replace(SERVICE, maximum=most)
    return replace(one, scaling=Scaling.COUNT, instances=control, max_instances=most)


def scene() -> Scene:
    return Scene(gpu=pool(), backend=several())


def counts(scene: Scene) -> list[int]:
    return [count for _, count in scene.gpu.calls]


async def assert_all_paid(scene: Scene) -> None:
    """Every turn was answered, every instance was ended and paid, and nothing that was written for them is left."""
    await scene.end()
    await scene.cluster.assert_answered(scene.responses)
    assert scene.gpu.instances == []
    await scene.assert_paid()
    state = scene.cluster.world.app.state
    assert await state.count_leases.read(scene.backend) is None
    known = (await state.backend_states.read({"gpu": scene.backend}))["gpu"]
    assert known.warmth.further == ()


def test_one_turn_starts_one_instance() -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        await assert_all_paid(scene)
        assert counts(scene) == [1, 0]

    run(story, scene)


@pytest.mark.slow
def test_a_burst_starts_instances_that_end_one_after_the_other() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*scene.burst(24))
        await assert_all_paid(scene)
        found = counts(scene)
        assert found[:2] == [1, 3]
        assert found[2:] == sorted({2, 1, 0} & set(found[2:]), reverse=True)
        assert found[-1] == 0

    run(story, scene)


@pytest.mark.slow
def test_no_more_instances_start_than_are_allowed() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*scene.burst(24))
        await assert_all_paid(scene)
        assert max(counts(scene)) == 2

    run(story, lambda: Scene(gpu=pool(), backend=several(2)))


def test_turns_that_one_instance_serves_soon_start_no_other() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*scene.burst(3))
        await assert_all_paid(scene)
        assert counts(scene) == [1, 0]

    run(story, scene)


@pytest.mark.slow
@pytest.mark.parametrize("at", [0.1, 12.0, 12.5, 42.1, 140.0, 167.2])
def test_every_instance_is_ended_and_paid_although_its_process_dies(at: float) -> None:
    async def story(scene: Scene) -> None:
        tasks = scene.burst(24)
        await asyncio.sleep(at)
        await scene.die(tasks)
        await assert_all_paid(scene)

    run(story, scene)


@pytest.mark.slow
def test_instances_end_although_every_turn_is_lost() -> None:
    async def story(scene: Scene) -> None:
        tasks = scene.burst(24)
        await asyncio.sleep(60)
        await scene.kill_process(tasks)
        await asyncio.sleep(FORGOTTEN)
        await kill(scene.timers)
        assert scene.gpu.instances == []
        assert await scene.cluster.world.app.state.count_leases.read(scene.backend) is None

    run(story, scene)


@pytest.mark.slow
@pytest.mark.parametrize("status", [409, 503])
def test_one_more_instance_starts_as_soon_as_the_api_lets_it(status: int) -> None:
    busy = Failure(kind=FailureKind.STATUS, status=status, body="not now")

    async def story(scene: Scene) -> None:
        scene.refuse_while(busy, lambda count: count > 1 and scene.gpu.now < 20)
        await asyncio.gather(*scene.burst(24))
        await assert_all_paid(scene)
        assert len(scene.gpu.lives) > 1
        assert scene.gpu.lives[1].started >= 20

    run(story, scene)


@pytest.mark.slow
def test_turns_are_served_by_one_instance_where_no_more_are_permitted() -> None:
    denied = Failure(kind=FailureKind.STATUS, status=403, body="Permission 'run.services.update' denied")

    async def story(scene: Scene) -> None:
        scene.refuse_while(denied, lambda count: count > 1)
        await asyncio.gather(*scene.burst(12))
        await assert_all_paid(scene)
        assert len(scene.gpu.lives) == 1

    run(story, scene)


@pytest.mark.slow
@pytest.mark.parametrize("status", [409, 503])
def test_a_lower_count_that_is_refused_is_repeated_and_paid_until_it_was_set(status: int) -> None:
    refused = Failure(kind=FailureKind.STATUS, status=status, body="not now")

    async def story(scene: Scene) -> None:
        await asyncio.gather(*scene.burst(24))
        until = scene.gpu.now + IDLE_S + 100
        scene.refuse_while(refused, lambda _count: scene.gpu.now < until)
        await assert_all_paid(scene)
        assert every(life.ended and life.ended >= until for life in scene.gpu.lives[:1])

    run(story, scene)


@pytest.mark.slow
def test_slow_operations_are_paid_until_they_end() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*scene.burst(24))
        await assert_all_paid(scene)

    run(story, lambda: Scene(gpu=pool(change_s=15.0), backend=several()))


@pytest.mark.slow
def test_an_instance_of_whose_start_no_answer_came_is_ended_and_paid() -> None:
    lost = Failure(kind=FailureKind.READ_TIMEOUT)

    async def story(scene: Scene) -> None:
        def refusal(count: int) -> Failure | None:
            if count < 2 or scene.gpu.now > 200:
                return None
            scene.gpu.count = count
            while len(scene.gpu.instances) < count:
                scene.gpu.start()
            return lost

        scene.gpu.refusal = refusal
        await asyncio.gather(*scene.burst(12))
        await scene.end()
        await scene.cluster.assert_answered(scene.responses)
        assert scene.gpu.instances == []
        assert await scene.ledger() >= scene.bill > 0

    run(story, scene)


@pytest.mark.slow
def test_a_minimum_of_two_keeps_two_instances_up_and_their_payer_owes_them() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.sleep(500)
        assert len(scene.gpu.instances) == 2
        await scene.turn()
        await asyncio.sleep(700)
        await kill(scene.timers)
        assert counts(scene) in ([1, 2, 0], [1, 2, 1, 0])
        assert [life.ended for life in scene.gpu.lives] == [pytest.approx(1000, abs=1.0)] * 2
        payer = await usage_of(scene, Owner(tenant="operator", subject="schedule"))
        assert payer + await scene.ledger() == scene.bill
        assert payer > await scene.ledger() > 0

    limited = replace(schedule(2, 3, ends_s=1000), maximum=3)
    run(story, lambda: Scene(gpu=pool(), backend=replace(several(), instances=limited)))


def test_a_budget_that_does_not_cover_one_more_instance_starts_none() -> None:
    async def story(scene: Scene) -> None:
        sessions = scene.cluster.world.app.state.gpu_sessions
        covered = sessions.is_covered

        async def uncovered(backend: Backend, *rest: Any, **options: Any) -> bool:
            if number_of(backend.name):
                await sessions.cancel_warm_up(backend, *rest[:2])
                return False
            return await covered(backend, *rest, **options)

        sessions.is_covered = uncovered
        await asyncio.gather(*scene.burst(12))
        await assert_all_paid(scene)
        assert counts(scene) == [1, 0]

    run(story, scene)


@pytest.mark.slow
def test_an_api_that_refuses_every_further_instance_is_asked_after_pauses() -> None:
    denied = Failure(kind=FailureKind.STATUS, status=403, body="Permission 'run.services.update' denied")

    async def story(scene: Scene) -> None:
        scene.refuse_while(denied, lambda count: count > 1)
        await asyncio.gather(*scene.burst(24))
        asked = [at for at, count in scene.gpu.calls if count > 1]
        assert len(asked) >= 2
        assert every(after - before >= FIRST_PAUSE_S for before, after in pairwise(asked))
        await assert_all_paid(scene)

    run(story, scene)


def test_the_route_says_why_one_more_instance_starts() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*scene.burst(24))
        turns, verdicts = scene.cluster.world.turns, list[dict[str, Any]]()
        for response in scene.responses:
            routes = await turns.routes(response.owner, response.id)
            verdicts += [each["route"]["further"] for each in routes if "further" in each["route"]]
        started = [each for each in verdicts if each["starts"]]
        assert started
        assert every("would save $" in each["reason"] for each in verdicts)
        assert every(Decimal(each["saved_usd"]) >= Decimal(each["price_usd"]) for each in started)
        await assert_all_paid(scene)

    run(story, scene)
