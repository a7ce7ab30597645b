"""Does a cold GPU start when that pays, while turns that cannot wait use another backend?"""

import asyncio
from collections.abc import Sequence
from copy import replace
from decimal import Decimal

from clients.backends.port import BackendClient
from domain.fleet.catalog import Backend
from domain.money.ledger_records import turn_cost
from domain.routing.rent_or_buy import window_s
from state.fleet.rental_spend import RentalSpend
from tests.activities.cold_starts import ANSWER, EXPENSIVE, Cluster, cluster_with, cold_of
from tests.checks import every
from tests.fakes.backends import Act, FakeBackend, rejects, says
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.worlds import OWNER, THREAD, backend

SESSION = Decimal("0.28")
"""A little more than the start and the idle period of the GPU cost here."""


def api(fake: BackendClient | None = None) -> tuple[Backend, BackendClient]:
    return replace(backend("api"), price=EXPENSIVE), fake or FakeBackend(says(ANSWER))


def steady() -> tuple[SleepingGpu, Cluster]:
    gpu = SleepingGpu(start_s=lambda: 30.0)
    return gpu, cluster_with(gpu, cold_of(30.0), api=api())


async def add_rental_spend(cluster: Cluster, dollars: Decimal) -> None:
    gpu, _ = cluster.backends["gpu"]
    await RentalSpend(cluster.store, cluster.clock).add(gpu, dollars, window_s=window_s(gpu, gpu.cold_start.p50_s))


async def rental_spend(cluster: Cluster) -> Decimal:
    return await RentalSpend(cluster.store, cluster.clock).total(cluster.backends["gpu"][0], window_s=630)


async def backends_of(cluster: Cluster, *responses: str) -> list[str]:
    return [each.backend for one in responses for each in await cluster.world.ledger.attempts(OWNER, one)]


def test_a_single_turn_warms_nothing_up() -> None:
    async def story() -> None:
        gpu, cluster = steady()
        response = await cluster.world.admit("hello", model="auto")
        await cluster.run([response])
        assert gpu.lives == []
        assert await backends_of(cluster, response.id) == ["api"]
        (route,) = await cluster.world.turns.routes(OWNER, response.id)
        (cold_candidate,) = [each for each in route["route"]["candidates"] if each["backend"] == "gpu"]
        assert "a session does not pay off yet" in cold_candidate["last"]

    in_no_time(story())


def test_rental_spend_adds_up_until_a_turn_with_time_waits_for_the_gpu() -> None:
    async def story() -> None:
        gpu, cluster = steady()
        first = await cluster.world.admit("hello", model="auto")
        await cluster.run([first])
        spent = await RentalSpend(cluster.store, cluster.clock).total(cluster.backends["gpu"][0], window_s=630)
        assert spent > 0
        await add_rental_spend(cluster, SESSION)
        second = await cluster.world.admit("hello again", model="auto")
        began = asyncio.get_running_loop().time()
        await cluster.run([second])
        assert await backends_of(cluster, second.id) == ["gpu"]
        assert [life.started for life in gpu.lives] == [began]
        routes = await cluster.world.turns.routes(OWNER, second.id)
        assert routes[0]["number"] == 0
        assert routes[0]["route"]["wakes"] == "gpu"
        assert "a session pays off" in routes[0]["route"]["why_wake"]

    in_no_time(story())


def test_an_urgent_turn_uses_another_backend_while_the_gpu_starts_for_later_turns() -> None:
    async def story() -> None:
        gpu, cluster = steady()
        await add_rental_spend(cluster, SESSION)
        urgent = await cluster.world.admit("quick", model="auto", deadline_s=20)
        await cluster.run([urgent])
        assert await backends_of(cluster, urgent.id) == ["api"]
        assert await cluster.first_token_s(urgent) <= 1
        assert len(gpu.lives) == 1
        patient = await cluster.world.admit("slow", model="auto")
        await cluster.run([patient])
        assert await backends_of(cluster, patient.id) == ["gpu"]
        assert len(gpu.lives) == 1
        assert await cluster.first_token_s(patient) <= 31

    in_no_time(story())


def test_old_rental_spend_does_not_count() -> None:
    async def story() -> None:
        gpu, cluster = steady()
        await add_rental_spend(cluster, SESSION)
        await asyncio.sleep(700)
        late = await cluster.world.admit("late", model="auto")
        await cluster.run([late])
        assert await backends_of(cluster, late.id) == ["api"]
        assert gpu.lives == []

    in_no_time(story())


def test_a_gpu_is_warmed_up_where_the_warm_backend_is_broken() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 5.0)
        cluster = cluster_with(gpu, cold_of(5.0), api=api(FakeBackend(rejects(500))))
        response = await cluster.world.admit("hello", model="auto")
        await cluster.run([response])
        await cluster.assert_answered([response])
        assert (await backends_of(cluster, response.id))[-1] == "gpu"

    in_no_time(story())


def test_one_turn_probes_a_backend_whose_circuit_was_open_and_the_others_wait() -> None:
    async def story() -> None:
        broken = FakeBackend(*[rejects(500)] * 4, says(ANSWER))
        cluster = Cluster(backends={"api": api(broken)})
        first = await cluster.world.admit("hello")
        await cluster.run([first])
        assert len(broken.calls) == 4
        await asyncio.sleep(60)
        began = asyncio.get_running_loop().time()
        responses = [await cluster.world.admit(f"{number}") for number in range(10)]
        await cluster.run(responses)
        await cluster.assert_answered(responses)
        assert len(broken.calls) == 14
        firsts = sorted([await cluster.first_token_s(response) for response in responses])
        assert firsts[0] < began + 1 < firsts[1]

    in_no_time(story())


def test_the_ledger_has_the_cost_of_each_attempt() -> None:
    async def story() -> None:
        gpu, cluster = steady()
        await add_rental_spend(cluster, SESSION)
        response = await cluster.world.admit("hello", model="auto")
        await cluster.run([response])
        attempts = await cluster.world.ledger.attempts(OWNER, response.id)
        assert gpu.lives
        assert every(
            attempt.charge.cost is not None and attempt.charge.cost <= attempt.charge.reserved for attempt in attempts
        )
        assert turn_cost(attempts) > 0

    in_no_time(story())


def test_a_caller_with_short_answers_warms_nothing_up() -> None:
    async def story() -> None:
        gpu, cluster = steady()
        for _ in range(40):
            await cluster.run([await cluster.world.admit("hello", model="auto")])
            await asyncio.sleep(10)
        assert gpu.lives == []
        known = await cluster.world.app.state.answer_lengths.forecast(OWNER, THREAD)
        assert known.answers == {"model": (4, 4)}

    in_no_time(story())


def test_a_turn_that_an_api_refuses_twice_counts_once_as_rental_spend() -> None:
    async def spent_after(*scripts: Sequence[Act]) -> Decimal:
        cluster = cluster_with(SleepingGpu(start_s=lambda: 30.0), cold_of(30.0), api=api(FakeBackend(*scripts)))
        response = await cluster.world.admit("hello", model="auto", deadline_s=25)
        await cluster.run([response])
        assert len(await backends_of(cluster, response.id)) == len(scripts)
        return await rental_spend(cluster)

    async def story() -> None:
        refused = rejects(429)
        assert await spent_after(refused, refused, says(ANSWER)) == await spent_after(says(ANSWER)) > 0

    in_no_time(story())
