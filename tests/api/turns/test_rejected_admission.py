"""Does a request that is refused leave nothing behind, and does who comes second get the response of the first?"""

import asyncio
from random import Random
from typing import Any

import pytest

from clients.storage.keys import thread_id
from domain.ids import thread_of
from domain.turns.rate_limits import RateLimit, RateLimits
from tests.api.harness import Api, api
from tests.api.turns.test_admission import clock_of, documents, held, responses
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

NOBODYS = "0" * 24
KEY = {"idempotency_key": "k"}
REFUSED: dict[str, dict[str, Any]] = {
    "predecessor": {"input": "hi", "previous_response_id": f"resp_{NOBODYS}{NOBODYS}"},
    "conversation": {"input": "hi", "conversation": f"conv_{NOBODYS}"},
    "item": {"input": [{"type": "item_reference", "id": f"msg_{NOBODYS}{NOBODYS}"}]},
    "length": {"input": "word " * 9000, "truncation": "disabled"},
    "source": {"input": "hi", "metadata": {"sources": "payroll"}},
}


def left(store: MemoryStore) -> list[str]:
    return [name for kind in ("claim", "thread", "reservation") for name in [kind] if list(documents(store, kind))]


@pytest.mark.parametrize("headers", [{}, KEY, {"x_stainless_retry_count": "1"}])
@pytest.mark.parametrize("wrong", REFUSED)
async def test_a_refused_request_leaves_nothing(wrong: str, headers: dict[str, str]) -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    for _ in range(2):
        answer = await one.create({"model": "model", **REFUSED[wrong]}, **headers)
        assert answer.status_code in {400, 404}
        assert left(store) == []


async def test_a_turn_that_finds_its_conversation_taken_leaves_nothing() -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    talk = (await one.http.post("/v1/conversations")).json()["id"]
    first = await one.create({"input": "hi", "conversation": talk, "background": True})
    claims = [claim.body["response"] for claim in documents(store, "claim")]
    second = await one.create({"input": "and?", "conversation": talk, "background": True})
    assert (first.status_code, second.status_code) == (200, 409)
    assert [claim.body["response"] for claim in documents(store, "claim")] == claims == [first.json()["id"]]


async def test_a_turn_for_which_there_is_no_room_leaves_nothing() -> None:
    store = MemoryStore(FakeClock())
    one = limited(store)
    assert (await one.create({"input": "hi", "background": True})).status_code == 200
    other = limited(store)
    answers = [await other.create({"input": text, "background": True}, **KEY) for text in ("hi", "hi")]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert len(list(documents(store, "claim"))) == len(list(documents(store, "thread"))) == 1


def limited(store: MemoryStore) -> Api:
    wide = RateLimit(per_minute=6000, burst=100, running=100)
    limits = RateLimits(owner=RateLimit(per_minute=1, burst=1, running=9), tenant=wide)
    one = api(store=store, clock=clock_of(store), limits=limits)
    one.orchestrations.hold = True
    return one


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("within", ["nothing", "a conversation", "a chain"])
async def test_deliveries_that_race_get_one_response(within: str, seed: int) -> None:
    store = MemoryStore(FakeClock())
    one, other = held(store), held(store)
    body = {"model": "model", "input": "hi", "background": True, **await before(one, within)}
    random = Random(seed)  # noqa: S311 - a test's seed

    async def deliver(to: Api) -> Any:
        for _ in range(random.randint(0, 12)):
            await asyncio.sleep(0)
        return await to.create(body, **KEY)

    answers = await asyncio.gather(*(deliver(to) for to in (one, other, one, other)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({str({**answer.json(), "status": ""}) for answer in answers}) == 1
    made = answers[0].json()["id"]
    assert sum(response.id == made for response in responses(store)) == 1
    assert thread_id(thread_of(made) or "") in threads(store)


async def before(one: Api, within: str) -> dict[str, str]:
    if within == "a conversation":
        return {"conversation": (await one.http.post("/v1/conversations")).json()["id"]}
    if within == "a chain":
        one.orchestrations.hold = False
        first = await one.create({"model": "model", "input": "first"})
        one.orchestrations.hold = True
        return {"previous_response_id": first.json()["id"]}
    return {}


def threads(store: MemoryStore) -> set[str]:
    return {note.id for note in documents(store, "thread")}


async def test_an_exhausted_delivery_does_not_take_the_claim_of_one_that_goes_on() -> None:
    store = MemoryStore(FakeClock())
    claims = held(store).world.turns.claims
    mine = f"resp_{NOBODYS}{NOBODYS}"
    for repeat in (False, True):
        claimed = await claims.claim(OWNER, key="k", body_hash="h", response_id=mine, repeat=repeat, new_thread=True)
        assert claimed == mine
    assert await claims.hold(OWNER, key="k", response_id=mine)
    await claims.withdraw(OWNER, key="k", response_id=mine, new_thread=True)
    assert left(store) == ["claim", "thread"]
    await claims.withdraw(OWNER, key="k", response_id=mine, new_thread=True)
    assert left(store) == []
    assert not await claims.hold(OWNER, key="k", response_id=mine)
