"""Is a caller who asks too much told when to come back, and does that cost nobody anything?"""

from typing import Any

import httpx

from domain.turns.rate_limits import RateLimit, RateLimits
from tests.api.harness import Api, api
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

BODY = {"input": "hi", "model": "model", "background": True}
WIDE = RateLimit(per_minute=6000, burst=1000, running=1000)


def held(owner: RateLimit, tenant: RateLimit = WIDE) -> Api:
    """Return an API whose turns are let in and never begin."""
    one = api(store=MemoryStore(clock := FakeClock()), clock=clock, limits=RateLimits(owner=owner, tenant=tenant))
    one.orchestrations.hold = True
    return one


async def ask(one: Api, **headers: str) -> httpx.Response:
    return await one.create(BODY, **headers)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    return answer.json()["error"]


async def test_too_many_turns_in_a_minute_are_429_and_say_when() -> None:
    one = held(RateLimit(per_minute=60, burst=2, running=100))
    assert [(await ask(one)).status_code for _ in range(3)] == [200, 200, 429]
    refused = await ask(one)
    assert refused.headers["retry-after"] == "1"
    assert "x-should-retry" not in refused.headers
    assert error_of(refused)["code"] == "rate_limit_exceeded"
    one.world.clock.advance(1)
    assert (await ask(one)).status_code == 200


async def test_too_many_running_turns_are_429() -> None:
    one = held(RateLimit(per_minute=6000, burst=1000, running=2))
    first = await ask(one)
    await ask(one)
    refused = await ask(one)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    cancelled = await one.http.post(f"/v1/responses/{first.json()['id']}/cancel")
    assert cancelled.status_code == 200
    one.world.clock.advance(2)
    assert (await ask(one)).status_code == 200


async def test_one_owner_at_his_limit_leaves_others_alone() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=1))
    assert (await ask(one)).status_code == 200
    assert (await ask(one)).status_code == 429
    assert (await ask(one, authorization="Bearer strange")).status_code == 200


async def test_what_is_refused_reserves_and_starts_nothing() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=100))
    await ask(one)
    before = len(one.orchestrations.started)
    kinds = await one.stored()
    await ask(one)
    assert (len(one.orchestrations.started), await one.stored()) == (before, kinds)
    assert await reservations(one) == 1


async def reservations(one: Api) -> int:
    store = one.world.store
    assert isinstance(store, MemoryStore)
    documents = [row.document for rows in store.partitions.values() for row in rows.values()]
    return sum(document.body["kind"] == "reservation" for document in documents)


async def test_a_repeat_of_what_was_let_in_is_never_refused() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=1))
    first = await ask(one, idempotency_key="mine")
    for _ in range(3):
        again = await ask(one, idempotency_key="mine")
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_a_repeat_of_what_was_refused_is_let_in_when_there_is_room() -> None:
    one = held(RateLimit(per_minute=60, burst=1, running=100))
    await ask(one)
    assert (await ask(one, idempotency_key="mine")).status_code == 429
    one.world.clock.advance(1)
    assert (await ask(one, idempotency_key="mine")).status_code == 200


async def test_a_wrong_request_takes_no_room() -> None:
    one = held(RateLimit(per_minute=6000, burst=1000, running=1))
    for _ in range(3):
        wrong = await one.create({**BODY, "previous_response_id": "resp_" + "0" * 48})
        assert wrong.status_code == 400
    assert (await ask(one)).status_code == 200
