"""Does a turn wait for a GPU that sleeps as long as it must, and nothing run meanwhile?"""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from domain.log.events import ResponseStatus
from tests.activities.cold_starts import cold_of, in_no_time, plant_with
from tests.fakes.gpus import SleepingGpu

STARTS = [1.0, 5.0, 30.0, 120.0, 300.0]


@pytest.mark.parametrize("abandoned_starts", [True, False])
@pytest.mark.parametrize("start_s", STARTS)
def test_a_turn_is_answered_once_its_gpu_has_started(start_s: float, *, abandoned_starts: bool) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s, abandoned_starts=abandoned_starts)
        plant = plant_with(gpu, cold_of(start_s, abandoned_starts=abandoned_starts))
        response = await plant.world.admit("hello")
        await plant.play([response])
        await plant.assert_answered([response])
        assert len(gpu.lives) == 1
        assert len(gpu.arrivals) <= 3
        assert await plant.first_token_s(response) <= start_s + 1
        assert plant.longest("route", "anticipate") <= 2.5
        assert plant.longest("infer") <= 11

    in_no_time(story())


@pytest.mark.parametrize("kill_s", [0.5, 1.9, 2.5, 15.0, 28.5, 29.9])
def test_a_process_that_dies_in_mid_wait_costs_no_second_start(kill_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 30.0)
        plant = plant_with(gpu, cold_of(30.0))
        response = await plant.world.admit("hello")
        await plant.play([response], kills=[kill_s])
        await plant.assert_answered([response])
        assert [life.started for life in gpu.lives] == [0.0]
        assert await plant.first_token_s(response) <= 32

    in_no_time(story())


@pytest.mark.parametrize("kill_s", [0.5, 10.0, 60.0, 118.0])
def test_a_held_start_that_dies_with_its_holder_is_begun_again(kill_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 120.0, abandoned_starts=False)
        plant = plant_with(gpu, cold_of(120.0, abandoned_starts=False))
        response = await plant.world.admit("hello")
        await plant.play([response], kills=[kill_s])
        await plant.assert_answered([response])
        assert {life.why for life in gpu.lives[:-1]} == {"abandoned"}
        assert len(gpu.lives) <= 4
        assert await plant.first_token_s(response) <= kill_s + 120 + 40

    in_no_time(story())


def test_fifty_turns_wake_a_gpu_once_and_are_answered_in_their_order() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 30.0)
        plant = plant_with(gpu, cold_of(30.0))
        responses = [await plant.world.admit(f"{number}") for number in range(50)]
        await plant.play(responses)
        await plant.assert_answered(responses)
        assert len(gpu.lives) == 1
        assert len(gpu.arrivals) <= len(responses) + 1
        places = [abs(place - int(text)) for place, text in enumerate(gpu.admitted)]
        assert max(places) < gpu.concurrency
        assert await plant.first_token_s(responses[-1]) <= 30 + 50 / 8 * 1.5
        assert max(len(run.history) for run in plant.runs.values()) <= 40

    in_no_time(story())


@pytest.mark.parametrize("start_s", [5.0, 120.0])
def test_fifty_turns_outlive_the_process_that_serves_them(start_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s)
        plant = plant_with(gpu, cold_of(start_s))
        responses = [await plant.world.admit(f"{number}") for number in range(50)]
        await plant.play(responses, kills=[1.0, start_s - 1, start_s + 2])
        await plant.assert_answered(responses)
        assert len(gpu.lives) == 1
        assert len(gpu.arrivals) <= 3 * len(responses)

    in_no_time(story())


def test_a_start_is_learned_though_the_fleet_s_file_is_far_off() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 5.0, idle_s=60)
        plant = plant_with(gpu, replace(cold_of(60.0, 300.0), idle_s=60))
        waits: list[float] = []
        for _ in range(8):
            response = await plant.world.admit("hello")
            began = asyncio.get_running_loop().time()
            await plant.play([response])
            waits.append(round(await plant.first_token_s(response) - began, 3))
            await asyncio.sleep(120)
        assert len(gpu.lives) == 8
        assert waits[0] <= 61
        assert waits == sorted(waits, reverse=True)
        assert waits[-1] <= 6

    in_no_time(story())


def test_starts_of_any_length_are_caught_within_steps_between_the_quantiles() -> None:
    async def story() -> None:
        random = Random(7)  # noqa: S311 - a test's seed
        gpu = SleepingGpu(start_s=lambda: random.uniform(20, 90), idle_s=60)
        plant = plant_with(gpu, replace(cold_of(40.0, 90.0), idle_s=60))
        late: list[float] = []
        for _ in range(30):
            response = await plant.world.admit("hello")
            await plant.play([response])
            ready = gpu.lives[-1].ready
            assert ready is not None
            late.append(await plant.first_token_s(response) - ready)
            await asyncio.sleep(120)
        assert len(gpu.lives) == 30
        assert sum(late) / len(late) <= 15
        assert len(gpu.arrivals) <= 30 * 4

    in_no_time(story())


def test_a_service_that_starts_nothing_for_a_dropped_request_is_found_out() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 40.0, abandoned_starts=False)
        plant = plant_with(gpu, cold_of(40.0, 60.0))
        response = await plant.world.admit("hello")
        await plant.play([response])
        await plant.assert_answered([response])
        assert plant.longest("infer") <= 11

    in_no_time(story())


def test_a_deadline_that_passes_before_the_gpu_is_up_ends_the_turn_clearly() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 30.0)
        plant = plant_with(gpu, cold_of(30.0))
        response = await plant.world.admit("hello", deadline_s=20)
        await plant.play([response])
        log = await plant.world.log(response)
        assert log.status is ResponseStatus.FAILED
        assert log.ending
        assert "needs about" in log.ending.message
        assert "20.0 s are left" in log.ending.message
        assert gpu.arrivals == []

    in_no_time(story())


def test_a_start_that_outlasts_the_deadline_ends_the_turn_at_its_deadline() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 200.0)
        plant = plant_with(gpu, cold_of(30.0, 60.0))
        response = await plant.world.admit("hello", deadline_s=90)
        await plant.play([response])
        log = await plant.world.log(response)
        assert log.status is ResponseStatus.FAILED
        assert log.ending
        assert asyncio.get_running_loop().time() <= 91

    in_no_time(story())


def test_an_answer_that_takes_longer_than_was_reserved_for_goes_on_in_attempts_that_are_paid_for() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 1.0, word_s=25.0)
        plant = plant_with(gpu, cold_of(1.0))
        response = await plant.world.admit("hello")
        await plant.play([response])
        await plant.assert_answered([response])
        attempts = await plant.world.ledger.attempts(response.owner, response.id)
        assert len(attempts) > 1
        assert all(each.cost is not None and each.cost <= each.reserved for each in attempts)

    in_no_time(story())


def test_a_gpu_that_takes_requests_and_says_nothing_is_not_waited_for_without_end() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 1.0, first_word_s=10_000.0)
        plant = plant_with(gpu, cold_of(1.0))
        response = await plant.world.admit("hello")
        await plant.play([response])
        log = await plant.world.log(response)
        assert log.status is ResponseStatus.FAILED
        assert log.ending
        assert "read timeout" in log.ending.message
        assert len(gpu.arrivals) <= 8

    in_no_time(story())
