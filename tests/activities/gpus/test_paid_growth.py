"""Does a provider that starts instances itself see only what makes one more instance worth its price?"""

import asyncio
from copy import replace

import pytest

from domain.fleet.catalog import Backend
from tests.activities.cold_starts import cold_gpu, cold_of
from tests.activities.routing.test_instance_keeper import Scene, run
from tests.domain.fleets import GPU
from tests.fakes.machines.gpu_pools import GpuPool

START_S, ROOM, MOST = 20.0, 2, 3


def inferred() -> Backend:
    return replace(cold_gpu(cold_of(START_S), concurrency=ROOM), max_instances=MOST)


def scene() -> Scene:
    pool = GpuPool(start_s=lambda: START_S, concurrency=ROOM, max_instances=MOST, is_counted=False, words=4, word_s=5.0)
    return Scene(gpu=pool, backend=inferred())


async def at_once(scene: Scene, turns: int) -> None:
    await asyncio.gather(*(scene.turn() for _ in range(turns)))


@pytest.mark.parametrize(("turns", "instances"), [(ROOM, 1), (ROOM + 1, 1), (ROOM + 2, 1), (20 * ROOM, MOST)])
def test_turns_beyond_the_room_of_an_instance_that_is_up_start_another_only_where_that_pays(
    turns: int, instances: int
) -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        await at_once(scene, turns)
        await scene.cluster.assert_answered(scene.responses)
        assert len(scene.gpu.lives) == instances

    run(story, scene)


def test_an_instance_that_was_paid_for_takes_turns_until_its_idle_period_is_over() -> None:
    async def story(scene: Scene) -> None:
        await at_once(scene, 20 * ROOM)
        await at_once(scene, 2 * ROOM)
        assert max(scene.gpu.arrivals) - scene.gpu.arrivals[-2 * ROOM] < 1
        assert len(scene.gpu.lives) == MOST
        await asyncio.sleep(2 * GPU.idle_s)
        before = len(scene.gpu.lives)
        await at_once(scene, ROOM + 1)
        assert len(scene.gpu.lives) >= before + 1

    run(story, scene)
