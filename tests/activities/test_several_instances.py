"""Does a GPU get more instances when turns wait, and lose them again, with a session and a bill for each?"""

import asyncio
from copy import replace

import pytest

from domain.fleet.catalog import Backend
from domain.fleet.instances.scaling import Scaling
from tests.activities.cold_starts import cold_gpu, cold_of, kill
from tests.activities.test_counted_instances import SERVICE, Scene, run
from tests.fakes.gpu_pools import GpuPool

START_S, IDLE_S, ROOM = 20.0, 30.0, 2
FORGOTTEN = 4000.0
"""After so many seconds an attempt that died no longer counts as running."""


def several(most: int = 3) -> Backend:
    """Return a counted GPU of up to `most` instances with room for two requests each."""
    one = cold_gpu(replace(cold_of(START_S), idle_s=IDLE_S), concurrency=ROOM)
    control = replace(SERVICE, maximum=most)
    return replace(one, scaling=Scaling.COUNT, instances=control, max_instances=most)


def pool(*, change_s: float = 0.0) -> GpuPool:
    return GpuPool(start_s=lambda: START_S, concurrency=ROOM, words=4, word_s=5.0, change_s=change_s)


def scene() -> Scene:
    return Scene(gpu=pool(), backend=several())


def burst(scene: Scene, turns: int) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(scene.turn()) for _ in range(turns)]


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


def test_a_burst_starts_instances_that_end_one_after_the_other() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*burst(scene, 24))
        await assert_all_paid(scene)
        found = counts(scene)
        assert found[:3] == [1, 2, 3]
        assert found[3:] == sorted({2, 1, 0} & set(found[3:]), reverse=True)
        assert found[-1] == 0

    run(story, scene)


def test_no_more_instances_start_than_are_allowed() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*burst(scene, 24))
        await assert_all_paid(scene)
        assert max(counts(scene)) == 2

    run(story, lambda: Scene(gpu=pool(), backend=several(2)))


def test_turns_that_one_instance_serves_soon_start_no_other() -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*burst(scene, 3))
        await assert_all_paid(scene)
        assert counts(scene) == [1, 0]

    run(story, scene)


@pytest.mark.parametrize("at", [0.1, 12.0, 12.5, 31.0, 42.1, 60.0, 140.0, 166.0, 167.2, 181.0])
def test_every_instance_is_ended_and_paid_although_its_process_dies(at: float) -> None:
    async def story(scene: Scene) -> None:
        tasks = burst(scene, 24)
        await asyncio.sleep(at)
        await scene.kill_process(tasks)
        await asyncio.gather(*(scene.cluster.respond(response) for response in scene.responses))
        await assert_all_paid(scene)

    run(story, scene)


def test_instances_end_although_every_turn_is_lost() -> None:
    async def story(scene: Scene) -> None:
        tasks = burst(scene, 24)
        await asyncio.sleep(60)
        await scene.kill_process(tasks)
        await asyncio.sleep(FORGOTTEN)
        await kill(scene.timers)
        assert scene.gpu.instances == []
        assert await scene.cluster.world.app.state.count_leases.read(scene.backend) is None

    run(story, scene)
