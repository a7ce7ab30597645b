"""Does a provider that starts instances itself see only what makes one more instance worth its price?"""

import asyncio

import pytest

from tests.activities.gpus.counted_scenes import MOST, ROOM, Scene, inferred_scene, run
from tests.domain.fleets import GPU


async def at_once(scene: Scene, turns: int) -> None:
    await asyncio.gather(*scene.burst(turns))


@pytest.mark.parametrize(
    ("turns", "instances"),
    [(ROOM, 1), (ROOM + 1, 1), (ROOM + 2, 1), pytest.param(20 * ROOM, MOST, marks=pytest.mark.slow)],
)
def test_turns_beyond_the_room_of_an_instance_that_is_up_start_another_only_where_that_pays(
    turns: int, instances: int
) -> None:
    async def story(scene: Scene) -> None:
        await scene.turn()
        await at_once(scene, turns)
        await scene.cluster.assert_answered(scene.responses)
        assert len(scene.gpu.lives) == instances

    run(story, inferred_scene)


@pytest.mark.slow
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

    run(story, inferred_scene)
