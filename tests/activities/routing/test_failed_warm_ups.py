"""Does a turn fail early where its warm-up fails, and is it answered once the cause has passed? Whole turns."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import ResponseStatus
from domain.money.budgets import Budgets, BudgetScope
from domain.turns.response import Response
from state.money.ledger import Ledger
from tests.activities.cold_starts import Cluster, cluster_with, cold_of
from tests.checks import every
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.worlds import backend

GRANT = "Google IAM Credentials refused to impersonate the service account (status 403); grant a role"
AWAY = "Google STS is not available (status 503)"
REFUSED = Failure(kind=FailureKind.CREDENTIALS_REFUSED, body=GRANT)
UNREACHABLE = Failure(kind=FailureKind.CREDENTIALS_UNREACHABLE, body=AWAY)
INVALID_TOKEN = Failure(kind=FailureKind.STATUS, status=401)

STARTS = [1.0, 5.0, 60.0]


def until(second: float, failure: Failure) -> Callable[[], Failure | None]:
    """Fail until a time of the loop."""
    return lambda: failure if asyncio.get_running_loop().time() < second else None


def cluster_of(start_s: float, *, until_s: float, failure: Failure, abandoned_starts: bool = True) -> Cluster:
    fails = until(until_s, failure)
    gpu = SleepingGpu(start_s=lambda: start_s, abandoned_starts=abandoned_starts)
    if failure.kind is FailureKind.STATUS:
        gpu.rejection = fails
    else:
        gpu.authentication_failure = fails
    return cluster_with(gpu, cold_of(start_s, abandoned_starts=abandoned_starts))


async def error_of(cluster: Cluster, response: Response) -> str:
    log = await cluster.world.log(response)
    assert log.status is ResponseStatus.FAILED
    assert log.ending
    return log.ending.message


@pytest.mark.parametrize("start_s", STARTS)
@pytest.mark.parametrize(
    ("failure", "message", "within_s"),
    [(REFUSED, GRANT, 5), (UNREACHABLE, AWAY, 60), (INVALID_TOKEN, "status 401", 5)],
)
def test_a_turn_whose_warm_up_fails_gets_the_reason_long_before_its_deadline(
    start_s: float, failure: Failure, message: str, within_s: float
) -> None:
    async def story() -> None:
        cluster = cluster_of(start_s, until_s=10_000, failure=failure)
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        assert message in await error_of(cluster, response)
        assert asyncio.get_running_loop().time() <= within_s
        assert max(len(run.history) for run in cluster.runs.values()) <= 60

    in_no_time(story())


@pytest.mark.parametrize("abandoned_starts", [True, False])
@pytest.mark.parametrize("start_s", STARTS)
@pytest.mark.parametrize(
    ("failure", "until_s"), [(REFUSED, 0.5), (UNREACHABLE, 5.0), (UNREACHABLE, 20.0), (INVALID_TOKEN, 0.5)]
)
def test_a_failure_that_passes_costs_a_turn_only_a_wait(
    start_s: float, failure: Failure, until_s: float, *, abandoned_starts: bool
) -> None:
    async def story() -> None:
        cluster = cluster_of(start_s, until_s=until_s, failure=failure, abandoned_starts=abandoned_starts)
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        await cluster.assert_answered([response])
        assert await cluster.first_token_s(response) <= until_s + 15 + start_s + 2

    in_no_time(story())


@pytest.mark.parametrize("start_s", STARTS)
@pytest.mark.parametrize("failure", [REFUSED, UNREACHABLE, INVALID_TOKEN])
def test_a_warm_up_that_started_nothing_costs_nothing(failure: Failure, start_s: float) -> None:
    async def story() -> None:
        cluster = cluster_of(start_s, until_s=10_000, failure=failure)
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        records = await cluster.world.ledger.records(response.owner, response.id)
        assert [each.charge.cost for each in records if each.charge.cost] == []
        reservation = await cluster.world.ledger.reservation(response.owner, response.id)
        assert reservation
        assert reservation.cost == 0

    in_no_time(story())


def test_fifty_waiting_turns_all_get_the_reason_with_few_authentications() -> None:
    async def story() -> None:
        cluster = cluster_of(60.0, until_s=10_000, failure=REFUSED)
        responses = [await cluster.world.admit(f"{number}") for number in range(50)]
        await cluster.run(responses)
        assert every([GRANT in await error_of(cluster, response) for response in responses])
        (_, gpu) = cluster.backends["gpu"]
        assert isinstance(gpu, SleepingGpu)
        assert gpu.authentications <= 10
        assert asyncio.get_running_loop().time() <= 75

    in_no_time(story())


def test_a_failed_warm_up_does_not_delay_the_next_turn_once_its_cause_is_fixed() -> None:
    async def story() -> None:
        cluster = cluster_of(5.0, until_s=10.0, failure=REFUSED)
        first = await cluster.world.admit("hello")
        await cluster.run([first])
        assert GRANT in await error_of(cluster, first)
        await asyncio.sleep(20)
        began = asyncio.get_running_loop().time()
        second = await cluster.world.admit("hello")
        await cluster.run([second])
        await cluster.assert_answered([second])
        assert await cluster.first_token_s(second) - began <= 6

    in_no_time(story())


def test_a_turn_whose_warm_up_fails_uses_another_backend() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 60.0, authentication_failure=lambda: REFUSED)
        other = (backend("api"), FakeBackend(says("from elsewhere")))
        cluster = cluster_with(gpu, cold_of(60.0), api=other)
        responses = [await cluster.world.admit("hello", model="auto") for _ in range(3)]
        await cluster.run(responses)
        await cluster.assert_answered(responses, "from elsewhere")
        assert asyncio.get_running_loop().time() <= 5

    in_no_time(story())


@pytest.mark.parametrize("start_s", STARTS)
def test_a_start_that_no_budget_covers_is_not_waited_for(start_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s)
        cluster = cluster_with(gpu, cold_of(start_s))
        budgets = Budgets(limits={BudgetScope.TENANT_DAY: Decimal("0.1")})
        cluster.world.ledger.budget_counters = Ledger(cluster.store, cluster.clock, budgets).budget_counters
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        assert "Your organisation's budget for the day has no room" in await error_of(cluster, response)
        assert (gpu.arrivals, asyncio.get_running_loop().time()) == ([], 0.0)

    in_no_time(story())


@pytest.mark.parametrize("authentication_s", [3.0, 9.0, 25.0])
@pytest.mark.parametrize("start_s", STARTS)
def test_a_slow_authentication_does_not_count_as_part_of_the_start(start_s: float, authentication_s: float) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: start_s, authentication_s=authentication_s)
        cluster = cluster_with(gpu, cold_of(start_s))
        responses = [await cluster.world.admit("hello") for _ in range(3)]
        await cluster.run(responses)
        await cluster.assert_answered(responses)
        assert [life.started for life in gpu.lives] == [authentication_s]
        assert await cluster.first_token_s(responses[0]) <= authentication_s + start_s + 8
        assert len(gpu.arrivals) <= 3 * len(responses)

    in_no_time(story())


def test_a_process_that_dies_after_a_failed_warm_up_changes_nothing() -> None:
    async def story() -> None:
        cluster = cluster_of(60.0, until_s=10_000, failure=REFUSED)
        response = await cluster.world.admit("hello")
        await cluster.run([response], kills=[0.5, 2.0])
        assert GRANT in await error_of(cluster, response)
        assert asyncio.get_running_loop().time() <= 15

    in_no_time(story())
