"""Is no request sent to several instances that fits their KV memory together, and that of none of them?"""

import asyncio
from copy import replace

import pytest

from domain.fleet.catalog import Backend
from domain.fleet.instances.scaling import Scaling
from tests.activities.cold_starts import cold_gpu, cold_of
from tests.activities.gpus.counted_scenes import Scene, run, schedule
from tests.checks import every
from tests.fakes.machines.paged_pools import PagedPool

START_S, PLACES, TOKENS, WORDS = 20.0, 64, 4000, 500
LARGE, SMALL = 1700, 20
"""Words of a prompt."""


def paged(places: int = PLACES) -> Backend:
    """Return a counted GPU of two instances that its schedule keeps up."""
    one = cold_gpu(cold_of(START_S), concurrency=places)
    limits = replace(one.limits, kv_tokens=TOKENS)
    control = replace(schedule(2, 2, ends_s=20_000), maximum=2)
    return replace(one, limits=limits, scaling=Scaling.COUNT, instances=control, max_instances=2)


def scene() -> Scene:
    pool = PagedPool(start_s=lambda: START_S, concurrency=PLACES, max_instances=2, words=WORDS, tokens=TOKENS)
    return Scene(gpu=pool, backend=paged())


async def turn(scene: Scene, words: int) -> None:
    text = "word " * words
    response = await scene.cluster.world.admit(text, max_output_tokens=WORDS, deadline_s=3600)
    scene.responses.append(response)
    await scene.cluster.respond(response)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(LARGE, SMALL), (SMALL, LARGE), (LARGE, SMALL, SMALL), (LARGE,)])
def test_no_engine_of_two_throws_a_request_out_and_both_work(sizes: tuple[int, ...]) -> None:
    """Large and small turns alternate, so an even share of the requests is no even share of the memory."""

    async def story(scene: Scene) -> None:
        await asyncio.sleep(500)
        assert len(scene.gpu.instances) == 2
        tasks: list[asyncio.Task[None]] = []
        for number in range(24):
            tasks.append(asyncio.create_task(turn(scene, sizes[number % len(sizes)])))
            await asyncio.sleep(0.3)
        await asyncio.gather(*tasks)
        await scene.cluster.assert_answered(scene.responses, "answer")
        assert scene.gpu.preempted == 0
        served = [scene.gpu.served.count(one) for one in scene.gpu.instances]
        assert every(count >= 24 / 3 for count in served)

    run(story, scene)
