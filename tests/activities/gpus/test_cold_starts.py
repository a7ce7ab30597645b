"""Does a turn wait for a cold GPU as long as it must, with no activity running meanwhile?"""

import asyncio
from copy import replace
from random import Random

import pytest

from domain.log.events import ResponseStatus
from tests.activities.cold_starts import cluster_with, cold_of
from tests.checks import every
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu

pytestmark = pytest.mark.slow

STARTS = [1.0, 5.0, 30.0, 120.0, 300.0]


@pytest.mark.parametrize("abandoned_starts", [True, False])
@pytest.mark.parametrize("start_s", STARTS)
def test_a_turn_is_answered_once_its_gpu_has_started(start_s: float, *, abandoned_starts: bool) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s, abandoned_starts=abandoned_starts)
        cluster = cluster_with(gpu, cold_of(start_s, abandoned_starts=abandoned_starts))
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        await cluster.assert_answered([response])
        assert len(gpu.lives) == 1
        assert len(gpu.arrivals) <= 6
        assert await cluster.first_token_s(response) <= start_s + 1
        assert cluster.longest("route", "anticipate") <= 2.5
        assert cluster.longest("infer") <= 11

    in_no_time(story())


@pytest.mark.parametrize("kill_s", [0.5, 1.9, 2.5, 15.0, 28.5, 29.9])
def test_a_process_that_dies_during_the_wait_costs_no_second_start(kill_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 30.0)
        cluster = cluster_with(gpu, cold_of(30.0))
        response = await cluster.world.admit("hello")
        await cluster.run([response], kills=[kill_s])
        await cluster.assert_answered([response])
        assert [life.started for life in gpu.lives] == [0.0]
        assert await cluster.first_token_s(response) <= 32

    in_no_time(story())


@pytest.mark.parametrize("kill_s", [0.5, 10.0, 60.0, 118.0])
def test_a_start_that_ends_with_the_process_that_held_its_request_is_begun_again(kill_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 120.0, abandoned_starts=False)
        cluster = cluster_with(gpu, cold_of(120.0, abandoned_starts=False))
        response = await cluster.world.admit("hello")
        await cluster.run([response], kills=[kill_s])
        await cluster.assert_answered([response])
        assert {life.why for life in gpu.lives[:-1]} == {"abandoned"}
        assert len(gpu.lives) <= 4
        assert await cluster.first_token_s(response) <= kill_s + 120 + 40

    in_no_time(story())


def test_fifty_turns_warm_a_gpu_up_once_and_are_answered_in_order() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 30.0)
        cluster = cluster_with(gpu, cold_of(30.0))
        responses = [await cluster.world.admit(f"{number}") for number in range(50)]
        await cluster.run(responses)
        await cluster.assert_answered(responses)
        assert len(gpu.lives) == 1
        assert len(gpu.arrivals) <= len(responses) + 1
        places = [abs(place - int(text)) for place, text in enumerate(gpu.admitted)]
        assert max(places) < gpu.concurrency
        assert await cluster.first_token_s(responses[-1]) <= 30 + 50 / 8 * 1.5
        assert max(len(run.history) for run in cluster.runs.values()) <= 40

    in_no_time(story())


@pytest.mark.parametrize("start_s", [5.0, 120.0])
def test_fifty_turns_outlive_the_process_that_serves_them(start_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s)
        cluster = cluster_with(gpu, cold_of(start_s))
        responses = [await cluster.world.admit(f"{number}") for number in range(50)]
        await cluster.run(responses, kills=[1.0, start_s - 1, start_s + 2])
        await cluster.assert_answered(responses)
        assert len(gpu.lives) == 1
        assert len(gpu.arrivals) <= 3 * len(responses)

    in_no_time(story())


def test_start_times_are_learned_though_the_fleet_file_is_wrong() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 5.0, idle_s=60)
        cluster = cluster_with(gpu, replace(cold_of(60.0, 300.0), idle_s=60))
        waits: list[float] = []
        for _ in range(8):
            response = await cluster.world.admit("hello")
            began = asyncio.get_running_loop().time()
            await cluster.run([response])
            waits.append(round(await cluster.first_token_s(response) - began, 3))
            await asyncio.sleep(120)
        assert len(gpu.lives) == 8
        assert waits[0] <= 61
        assert waits == sorted(waits, reverse=True)
        assert waits[-1] <= 6

    in_no_time(story())


def test_a_start_of_any_length_is_noticed_within_the_steps_between_the_quantiles() -> None:
    async def story() -> None:
        random = Random(7)  # noqa: S311 - a test's seed
        gpu = SleepingGpu(start_s=lambda: random.uniform(20, 90), idle_s=60)
        cluster = cluster_with(gpu, replace(cold_of(40.0, 90.0), idle_s=60))
        late: list[float] = []
        for _ in range(30):
            response = await cluster.world.admit("hello")
            await cluster.run([response])
            ready = gpu.lives[-1].ready
            assert ready is not None
            late.append(await cluster.first_token_s(response) - ready)
            await asyncio.sleep(120)
        assert len(gpu.lives) == 30
        assert sum(late) / len(late) <= 2
        assert len(gpu.arrivals) <= 30 * 12

    in_no_time(story())


def test_a_service_that_abandons_dropped_starts_is_recognised() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 40.0, abandoned_starts=False)
        cluster = cluster_with(gpu, cold_of(40.0, 60.0))
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        await cluster.assert_answered([response])
        assert cluster.longest("infer") <= 11

    in_no_time(story())


def test_a_turn_whose_deadline_is_before_the_start_fails_with_the_reason() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 30.0)
        cluster = cluster_with(gpu, cold_of(30.0))
        response = await cluster.world.admit("hello", deadline_s=20)
        await cluster.run([response])
        log = await cluster.world.log(response)
        assert log.status is ResponseStatus.FAILED
        assert log.ending
        assert "the turn takes an estimated" in log.ending.message
        assert "20.0 s are left" in log.ending.message
        assert gpu.arrivals == []

    in_no_time(story())


def test_a_start_that_outlasts_the_deadline_ends_the_turn_at_its_deadline() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 200.0)
        cluster = cluster_with(gpu, cold_of(30.0, 60.0))
        response = await cluster.world.admit("hello", deadline_s=90)
        await cluster.run([response])
        log = await cluster.world.log(response)
        assert log.status is ResponseStatus.FAILED
        assert log.ending
        assert asyncio.get_running_loop().time() <= 91

    in_no_time(story())


def test_an_answer_that_takes_longer_than_its_reservation_continues_in_further_attempts() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 1.0, word_s=25.0)
        cluster = cluster_with(gpu, cold_of(1.0))
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        await cluster.assert_answered([response])
        attempts = await cluster.world.ledger.attempts(response.owner, response.id)
        assert len(attempts) > 1
        assert every(each.charge.cost is not None and each.charge.cost <= each.charge.reserved for each in attempts)

    in_no_time(story())


def test_a_gpu_that_accepts_requests_and_sends_nothing_fails_the_turn() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 1.0, first_word_s=10_000.0)
        cluster = cluster_with(gpu, cold_of(1.0))
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        log = await cluster.world.log(response)
        assert log.status is ResponseStatus.FAILED
        assert log.ending
        assert "read timeout" in log.ending.message
        assert len(gpu.arrivals) <= 8

    in_no_time(story())
