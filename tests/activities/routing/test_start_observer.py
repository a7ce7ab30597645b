"""Is a start observed for which no turn waits, also through crashes?"""

import asyncio
from copy import replace
from decimal import Decimal

import pytest

from domain.fleet.backend_state import BackendState
from domain.routing.rent_or_buy import window_s
from tests.activities.cold_starts import Cluster, cluster_with, cold_of, kill
from tests.activities.routing.test_shadow_warm_ups import api
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu

pytestmark = pytest.mark.slow


async def state_of(cluster: Cluster) -> BackendState:
    return (await cluster.world.app.state.backend_states.read(cluster.world.fleet.backends))["gpu"]


async def warm_up_for_others(cluster: Cluster) -> None:
    """Let a turn that cannot wait warm the GPU up for turns to come."""
    gpu, _ = cluster.backends["gpu"]
    await cluster.world.app.state.rental_spend.add(gpu, Decimal(1), window_s=window_s(gpu, gpu.cold_start.p50_s))
    urgent = await cluster.world.admit("quick", model="auto", deadline_s=15)
    await cluster.run([urgent])


@pytest.mark.parametrize(
    ("p50_s", "start_s"), [(60.0, 60.0), (60.0, 100.0), (20.0, 60.0), (60.0, 20.0), (60.0, 200.0), (30.0, 5.0)]
)
def test_three_starts_that_no_turn_waits_for_are_learned(p50_s: float, start_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s)
        cluster = cluster_with(gpu, cold_of(p50_s, 4 * p50_s), api=api())
        for _ in range(3):
            await warm_up_for_others(cluster)
            await asyncio.sleep(2000)
        assert len(gpu.lives) == 3
        state = await state_of(cluster)
        assert state.start_times.p50_s == pytest.approx(start_s, rel=0.15)
        assert (len(state.start_times.samples), state.warmth.lost_warm_ups) == (3, 0)

    in_no_time(story())


def test_a_gpu_that_is_up_is_known_to_be_up_before_the_next_turn() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 60.0)
        cluster = cluster_with(gpu, cold_of(60.0, 120.0), api=api())
        await warm_up_for_others(cluster)
        await asyncio.sleep(75)
        assert (await state_of(cluster)).warmth.is_warm(cluster.clock.now())
        assert len(gpu.arrivals) == 2

    in_no_time(story())


@pytest.mark.parametrize("kill_s", [1.0, 30.0, 61.0])
def test_the_timer_of_another_process_observes_a_start_whose_process_died(kill_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 70.0)
        cluster = cluster_with(gpu, cold_of(60.0, 120.0), api=api())
        await warm_up_for_others(cluster)
        await asyncio.sleep(kill_s)
        await kill([*cluster.world.warmer.background_tasks])
        cluster.world = cluster.new_process()
        for _ in range(3):
            await asyncio.sleep(60)
            await cluster.world.app.maintenance.start_observer.probe_unseen()
        state = await state_of(cluster)
        assert state.warmth.is_warm(cluster.clock.now())
        assert state.start_times.p50_s == pytest.approx(70, rel=0.35)
        assert len(gpu.lives) == 1

    in_no_time(story())


async def each_minute(cluster: Cluster) -> None:
    while True:
        await asyncio.sleep(60)
        await cluster.world.app.maintenance.start_observer.probe_unseen()


@pytest.mark.parametrize(("configured_s", "start_s", "idle_s"), [(600.0, 20.0, 120.0), (900.0, 40.0, 300.0)])
def test_a_gpu_does_not_scale_in_unseen_while_a_turn_waits_for_its_start(
    configured_s: float, start_s: float, idle_s: float
) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s, idle_s=idle_s)
        cold = replace(cold_of(configured_s, 2 * configured_s), idle_s=idle_s)
        cluster = cluster_with(gpu, cold)
        timer = asyncio.create_task(each_minute(cluster))
        response = await cluster.world.admit("hello", deadline_s=3600)
        await cluster.run([response])
        await kill([timer])
        assert len(gpu.lives) == 1
        assert await cluster.first_token_s(response) <= start_s + idle_s

    in_no_time(story())
