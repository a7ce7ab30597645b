"""Do rate limits reject turns with a retry delay, without affecting other callers?"""

from typing import Any

import httpx

from domain.turns.rate_limits import RateLimit, RateLimits
from tests.api.harness import Api, api
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

BODY = {"input": "hi", "model": "model", "background": True}
WIDE = RateLimit(per_minute=6000, burst=1000, running=1000)


def held(owner: RateLimit, tenant: RateLimit = WIDE) -> Api:
    """Return an API whose turns are admitted and never start."""
    one = api(store=MemoryStore(clock := FakeClock()), clock=clock, limits=RateLimits(owner=owner, tenant=tenant))
    one.orchestrations.hold = True
    return one


async def send(one: Api, **headers: str) -> httpx.Response:
    return await one.create(BODY, **headers)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    return answer.json()["error"]


async def test_too_many_turns_in_a_minute_are_429_with_retry_after() -> None:
    one = held(RateLimit(per_minute=60, burst=2, running=100))
    assert [(await send(one)).status_code for _ in range(3)] == [200, 200, 429]
    rejected = await send(one)
    assert rejected.headers["retry-after"] == "1"
    assert "x-should-retry" not in rejected.headers
    assert error_of(rejected)["code"] == "rate_limit_exceeded"
    one.world.clock.advance(1)
    assert (await send(one)).status_code == 200


async def test_too_many_running_turns_are_429() -> None:
    one = held(RateLimit(per_minute=6000, burst=1000, running=2))
    first = await send(one)
    await send(one)
    rejected = await send(one)
    assert (rejected.status_code, rejected.headers["retry-after"]) == (429, "2")
    cancelled = await one.http.post(f"/v1/responses/{first.json()['id']}/cancel")
    assert cancelled.status_code == 200
    one.world.clock.advance(2)
    assert (await send(one)).status_code == 200


async def test_an_owner_at_the_limit_does_not_affect_others() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=1))
    assert (await send(one)).status_code == 200
    assert (await send(one)).status_code == 429
    assert (await send(one, authorization="Bearer strange")).status_code == 200


async def test_a_rejected_turn_reserves_and_starts_nothing() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=100))
    await send(one)
    before = len(one.orchestrations.started)
    kinds = await one.stored()
    await send(one)
    assert (len(one.orchestrations.started), await one.stored()) == (before, kinds)
    assert await reservations(one) == 1


async def reservations(one: Api) -> int:
    store = one.world.store
    assert isinstance(store, MemoryStore)
    documents = [row.document for rows in store.partitions.values() for row in rows.values()]
    return sum(document.body["kind"] == "reservation" for document in documents)


async def test_the_retry_of_a_rejected_turn_is_not_an_equal_turn_before_it() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=10))
    first, again = [(await send(one, x_stainless_retry_count=tries)).json()["id"] for tries in ("0", "1")]
    assert first == again
    assert (await send(one, x_stainless_retry_count="0")).status_code == 429
    one.world.clock.advance(60)
    meant, repeated = [(await send(one, x_stainless_retry_count=tries)).json()["id"] for tries in ("1", "2")]
    assert first != meant == repeated


async def test_a_repeat_of_an_admitted_request_is_never_rejected() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=1))
    first = await send(one, idempotency_key="mine")
    for _ in range(3):
        again = await send(one, idempotency_key="mine")
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_a_repeat_of_a_rejected_request_is_admitted_when_the_limit_allows() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=100))
    await send(one)
    assert (await send(one, idempotency_key="mine")).status_code == 429
    one.world.clock.advance(1)
    assert (await send(one, idempotency_key="mine")).status_code == 200


async def test_an_invalid_request_does_not_count() -> None:
    one = held(RateLimit(per_minute=6000, burst=1000, running=1))
    for _ in range(3):
        wrong = await one.create({**BODY, "previous_response_id": "resp_" + "0" * 48})
        assert wrong.status_code == 400
    assert (await send(one)).status_code == 200
