"""How near is the ledger to the bill where the provider starts further instances, and the product sees none of them?"""

import asyncio
from copy import replace
from decimal import Decimal

import pytest

from tests.activities.cold_starts import kill
from tests.activities.gpus.counted_scenes import MOST, START_S, Scene, inferred, inferred_scene, run
from tests.domain.fleets import GPU
from tests.fakes.machines.gpu_pools import GpuPool

NEAR = Decimal("0.02")
"""The ledger is as near to the bill as this part of it."""


async def assert_nearly_paid(scene: Scene) -> None:
    await asyncio.sleep(2 * GPU.idle_s)
    await kill(scene.timers)
    await scene.cluster.assert_answered(scene.responses)
    assert scene.gpu.instances == []
    ledger, bill = await scene.ledger(), scene.bill
    assert abs(ledger - bill) <= NEAR * bill, (ledger, bill)


@pytest.mark.parametrize(
    ("turns", "instances"), [(1, 1), (2, 1), (3, 1), (12, 2), pytest.param(24, 3, marks=pytest.mark.slow)]
)
def test_a_burst_that_no_process_dies_in_is_paid_to_the_nano_dollar(turns: int, instances: int) -> None:
    async def story(scene: Scene) -> None:
        await asyncio.gather(*scene.burst(turns))
        await assert_nearly_paid(scene)
        assert len(scene.gpu.lives) == instances
        assert await scene.ledger() == scene.bill

    run(story, inferred_scene)


@pytest.mark.slow
@pytest.mark.parametrize("at", [0.1, 10.0, 21.0, 39.0, 60.0])
@pytest.mark.parametrize("turns", [6, 24])
def test_three_instances_are_nearly_paid_although_a_process_dies(at: float, turns: int) -> None:
    async def story(scene: Scene) -> None:
        tasks = scene.burst(turns)
        await asyncio.sleep(at)
        await scene.die(tasks)
        await assert_nearly_paid(scene)

    run(story, inferred_scene)


@pytest.mark.slow
def test_turns_that_fill_the_memory_of_an_instance_before_its_places_start_others() -> None:
    """Three turns, of 400 tokens and their prompt, fill the memory of an instance that has four places."""
    four = replace(inferred(), limits=replace(inferred().limits, concurrency=4, kv_tokens=1550))

    async def story(scene: Scene) -> None:
        await scene.turn()
        await asyncio.gather(*scene.burst(24))
        assert len(scene.gpu.lives) > 1

    def long_answers() -> Scene:
        pool = GpuPool(
            start_s=lambda: START_S, concurrency=4, max_instances=MOST, is_counted=False, words=400, word_s=0.03
        )
        return Scene(gpu=pool, backend=four)

    run(story, long_answers)
