"""Is every line answered once where the process dies at any call of the store, and the batch is started again?"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from httpx import Response

from clients.storage.port import DocumentStore
from domain.batches.batch import ENDINGS
from domain.errors import GanglionError, Unavailable
from domain.fleet.catalog import ContinuationMode
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import Budgets, BudgetScope
from domain.money.ledger_records import ReservationStatus
from domain.turns.rate_limits import RateLimit, RateLimits
from tests.api.batches.jobs import create, ended, line, rows, text_of, upload
from tests.api.harness import ANSWER, Api, api
from tests.checks import every
from tests.fakes.backends import FakeBackend, says
from tests.fakes.batches import BatchRun, ChildCall
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, backend

LINES = 2
RESTARTS = 2
SAMPLED = 9
"""So many of the calls are crashed at in a usual run; a campaign takes each of them."""


def product(clock: FakeClock, store: DocumentStore) -> Api:
    """Return the product over a store, with a backend that gives its whole answer again where one is to go on."""
    deployed = {"main": backend("main", continues=ContinuationMode.NO)}
    return api(FakeBackend(says(ANSWER)), clock=clock, store=store, deployed=deployed)


class DyingRun(BatchRun):
    """Runs a batch in one process, whose host sees a failed step as one that is to be repeated."""

    async def in_parallel(self, call: Any) -> Any:
        if isinstance(call, ChildCall):
            return await super().in_parallel(call)
        try:
            return await super().in_parallel(call)
        except GanglionError:
            return {"value": None, "problem": "the step failed"}


async def started(clock: FakeClock, store: MemoryStore) -> tuple[Api, dict[str, Any]]:
    """Return a batch that was created, and not begun."""
    one = product(clock, store)
    one.orchestrations.hold = True
    return one, await create(one, [line(number) for number in range(LINES)])


async def run_once(clock: FakeClock, store: MemoryStore, identifier: str, faults: Faults) -> FlakyStore:
    """Run a batch in a new process until its end, or until the process dies."""
    flaky = FlakyStore(store, Random(1), faults)  # noqa: S311 - a test's seed
    one = product(clock, flaky)
    with suppress(CrashError, GanglionError):
        await DyingRun(one.world).run(await one.world.app.state.batches.read(OWNER, identifier))
    await asyncio.sleep(0)
    return flaky


async def calls_without_crash() -> int:
    clock = FakeClock()
    store = MemoryStore(clock)
    _, batch = await started(clock, store)
    return len((await run_once(clock, store, batch["id"], Faults())).calls)


async def assert_complete(one: Api, batch: dict[str, Any]) -> None:
    """Assert that each line is in the output once, with one turn that is settled and one attempt that is closed."""
    done = await ended(one, batch)
    assert (done["status"], done["request_counts"]["completed"], done["error_file_id"]) == ("completed", LINES, None)
    found = await rows(one, done["output_file_id"])
    assert [each["custom_id"] for each in found] == [f"line-{number}" for number in range(LINES)]
    for each in found:
        body = each["response"]["body"]
        assert [item["content"][0]["text"] for item in body["output"] if item["type"] == "message"][-1] == ANSWER
        reservation = await one.world.ledger.reservation(OWNER, body["id"])
        assert reservation is not None
        assert reservation.status is ReservationStatus.SETTLED
        attempts = await one.world.ledger.attempts(OWNER, body["id"])
        assert every(attempt.charge.status is AttemptStatus.CLOSED for attempt in attempts)
        assert [attempt.number for attempt in attempts] == [1]


async def survives(number: int, fault: Fault) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, batch = await started(clock, store)
    await run_once(clock, store, batch["id"], Faults(at={number: fault}))
    for _ in range(RESTARTS):
        await run_once(clock, store, batch["id"], Faults())
    await assert_complete(one, batch)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
async def test_a_batch_outlives_a_crash_at_a_sample_of_its_calls(fault: Fault) -> None:
    calls = await calls_without_crash()
    assert calls > SAMPLED
    for number in range(0, calls, max(1, calls // SAMPLED)):
        await survives(number, fault)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", list(Fault))
async def test_a_batch_outlives_a_fault_at_each_of_its_calls(fault: Fault) -> None:
    for number in range(await calls_without_crash()):
        await survives(number, fault)


@pytest.mark.parametrize("seed", range(4))
async def test_a_batch_ends_where_calls_of_the_store_fail_at_random(seed: int) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, batch = await started(clock, store)
    kinds = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)
    flaky = FlakyStore(store, Random(seed), Faults(rate=0.03, kinds=kinds))  # noqa: S311 - a test's seed
    other = product(clock, flaky)
    for _ in range(RESTARTS):
        with suppress(GanglionError):
            await DyingRun(other.world).run(await one.world.app.state.batches.read(OWNER, batch["id"]))
    await run_once(clock, store, batch["id"], Faults())
    await assert_complete(one, batch)


KEY = {"idempotency-key": "once"}
REPEATS: Mapping[str, tuple[dict[str, str], dict[str, str]]] = {
    "a key": (KEY, KEY),
    "the retry of an SDK": ({}, {"x-stainless-retry-count": "1"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("sent", REPEATS)
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
async def test_a_batch_is_created_once_wherever_the_process_dies_while_it_is_requested(fault: Fault, sent: str) -> None:
    first, repeated = REPEATS[sent]
    number, calls = 0, 1
    while number < calls:
        clock = FakeClock()
        store = MemoryStore(clock)
        one = product(clock, store)
        file_id = await upload(one, text_of([line(number) for number in range(LINES)]))
        flaky = FlakyStore(store, Random(1), Faults(at={number: fault}))  # noqa: S311 - a test's seed
        dying = product(clock, flaky)
        dying.orchestrations.hold = True
        with suppress(CrashError):
            await requested(dying, file_id, first)
        again = await requested(one, file_id, repeated)
        assert again["id"] == (await requested(one, file_id, repeated))["id"]
        clock.advance(60)
        await one.world.app.maintenance.batch_sweep.run(one.orchestrations)
        await assert_complete(one, again)
        assert [each["id"] for each in (await one.http.get("/v1/batches")).json()["data"]] == [again["id"]]
        number, calls = number + 1, max(calls, len(flaky.calls) + 1)
    assert calls > 3


async def test_the_same_request_that_is_no_repeat_is_another_batch() -> None:
    one = api()
    file_id = await upload(one, text_of([line(0)]))
    first, second, again = [
        (await requested(one, file_id, headers))["id"] for headers in ({}, {}, {"x-stainless-retry-count": "2"})
    ]
    assert first != second == again
    assert (await requested(one, file_id, {"x-stainless-retry-count": "0"}))["id"] not in {first, second}
    noted = {"metadata": {"window_s": "3600", "of": "another"}, "output_expires_after": LASTING}
    others = [(await requested(one, file_id, {"x-stainless-retry-count": "1"}, **noted))["id"] for _ in range(2)]
    assert others[0] == others[1] not in {first, second}
    one.world.clock.advance(601)
    assert (await requested(one, file_id, {"x-stainless-retry-count": "1"}))["id"] not in {first, second}


async def test_the_retry_of_a_batch_that_was_over_the_rate_limit_is_not_an_equal_batch_before_it() -> None:
    narrow = RateLimit(per_minute=6, burst=3, running=10)
    clock = FakeClock()
    one = api(clock=clock, store=MemoryStore(clock), limits=RateLimits(owner=narrow, tenant=narrow))
    file_id = await upload(one, text_of([line(0)]))
    body = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": file_id}
    made = [(await sdk_try(one, body, tries)).json()["id"] for tries in (0, 1)]
    assert made[0] == made[1]
    assert (await sdk_try(one, body, 0)).status_code == 429
    clock.advance(60)
    meant = (await sdk_try(one, body, 1)).json()["id"]
    assert meant != made[0]
    assert (await sdk_try(one, body, 2)).json()["id"] == meant


async def sdk_try(one: Api, body: Mapping[str, str], tries: int) -> Response:
    """Send a request as an SDK does that has sent it so often before."""
    return await one.http.post("/v1/batches", json=body, headers={"x-stainless-retry-count": str(tries)})


@pytest.mark.parametrize("sent", REPEATS)
async def test_a_repeat_is_the_batch_also_where_it_would_now_be_refused(sent: str) -> None:
    one = api()
    file_id, (first, repeated) = await upload(one, text_of([line(0)])), REPEATS[sent]
    made = await requested(one, file_id, first)
    poor = Budgets(limits={BudgetScope.OWNER_MONTH: Decimal("0.000001")})
    one.world.ledger.budget_counters.configured = poor
    assert (await requested(one, file_id, repeated))["id"] == made["id"]
    assert (await ended(one, made))["status"] in ENDINGS
    assert (await one.http.delete(f"/v1/files/{file_id}")).status_code == 200
    assert (await requested(one, file_id, repeated))["id"] == made["id"]


async def test_the_retry_of_a_batch_whose_check_failed_is_not_an_equal_batch_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def down(*_: object) -> None:
        raise Unavailable("The store did not answer.")

    one = api()
    file_id = await upload(one, text_of([line(0)]))
    first = await requested(one, file_id, {})
    body = {name: first[name] for name in ("endpoint", "completion_window", "input_file_id")}
    with monkeypatch.context() as patch:
        patch.setattr(type(one.world.app.state.files), "read", down)
        assert (await one.http.post("/v1/batches", json=body)).status_code == 503
    assert (await requested(one, file_id, {"x-stainless-retry-count": "1"}))["id"] != first["id"]


LASTING = {"anchor": "created_at", "seconds": 3600}


async def test_the_retry_of_a_stranger_is_not_the_batch_of_its_owner() -> None:
    one = api()
    mine = await upload(one, text_of([line(0)]))
    await requested(one, mine, {})
    body = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": mine}
    headers = {"authorization": "Bearer strange", "x-stainless-retry-count": "1"}
    assert (await one.http.post("/v1/batches", json=body, headers=headers)).status_code == 404


async def requested(one: Api, file_id: str, headers: dict[str, str], **more: Any) -> dict[str, Any]:
    body = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": file_id, **more}
    answer = await one.http.post("/v1/batches", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()
