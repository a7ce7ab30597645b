"""Does a rejected request store nothing, and do racing deliveries get one response?"""

import asyncio
import hashlib
import json
from random import Random
from typing import Any

import pytest
from azurefunctions.extensions.http.fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from api.turns.deliveries import KEY_LIMIT, LONG, hash_of, may_be_repeat, read_delivery
from clients.storage.keys import thread_id
from domain.errors import Invalid
from domain.ids import thread_of
from domain.turns.rate_limits import RateLimit, RateLimits
from tests.api.harness import Api, api
from tests.api.turns.test_admission import clock_of, documents, held, responses
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

UNKNOWN_TOKEN = "0" * 24
KEY = {"idempotency_key": "k"}
REJECTED: dict[str, dict[str, Any]] = {
    "predecessor": {"input": "hi", "previous_response_id": f"resp_{UNKNOWN_TOKEN}{UNKNOWN_TOKEN}"},
    "conversation": {"input": "hi", "conversation": f"conv_{UNKNOWN_TOKEN}"},
    "item": {"input": [{"type": "item_reference", "id": f"msg_{UNKNOWN_TOKEN}{UNKNOWN_TOKEN}"}]},
    "length": {"input": "word " * 9000, "truncation": "disabled"},
    "source": {"input": "hi", "metadata": {"sources": "payroll"}},
}


def stored_kinds(store: MemoryStore) -> list[str]:
    return [name for kind in ("claim", "thread", "reservation") for name in [kind] if list(documents(store, kind))]


@pytest.mark.parametrize("headers", [{}, KEY, {"x_stainless_retry_count": "1"}])
@pytest.mark.parametrize("wrong", REJECTED)
async def test_a_rejected_request_stores_nothing(wrong: str, headers: dict[str, str]) -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    for _ in range(2):
        answer = await one.create({"model": "model", **REJECTED[wrong]}, **headers)
        assert answer.status_code in {400, 404}
        assert stored_kinds(store) == []


async def test_a_turn_in_a_locked_conversation_stores_nothing() -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    talk = (await one.http.post("/v1/conversations")).json()["id"]
    first = await one.create({"input": "hi", "conversation": talk, "background": True})
    claims = [claim.body["response"] for claim in documents(store, "claim")]
    second = await one.create({"input": "and?", "conversation": talk, "background": True})
    assert (first.status_code, second.status_code) == (200, 409)
    assert [claim.body["response"] for claim in documents(store, "claim")] == claims == [first.json()["id"]]


async def test_a_rate_limited_turn_stores_nothing() -> None:
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
async def test_racing_deliveries_get_one_response(within: str, seed: int) -> None:
    store = MemoryStore(FakeClock())
    one, other = held(store), held(store)
    body = {"model": "model", "input": "hi", "background": True, **await parent_of(one, within)}
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


async def parent_of(one: Api, within: str) -> dict[str, str]:
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


async def test_a_rejected_delivery_keeps_the_claim_of_another_delivery() -> None:
    store = MemoryStore(FakeClock())
    claims = held(store).world.turns.idempotency
    mine = f"resp_{UNKNOWN_TOKEN}{UNKNOWN_TOKEN}"
    for repeat in (False, True):
        claimed = await claims.record(OWNER, key="k", body_hash="h", response_id=mine, repeat=repeat, new_thread=True)
        assert claimed == mine
    assert await claims.add_holder(OWNER, key="k", response_id=mine)
    await claims.remove_holder(OWNER, key="k", response_id=mine, new_thread=True)
    assert stored_kinds(store) == ["claim", "thread"]
    await claims.remove_holder(OWNER, key="k", response_id=mine, new_thread=True)
    assert stored_kinds(store) == []
    assert not await claims.add_holder(OWNER, key="k", response_id=mine)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=3))
def test_a_hash_is_that_of_the_sorted_json(body: dict[str, Any]) -> None:
    whole = json.dumps(body, sort_keys=True).encode()
    assert hash_of(body) == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("text", ["x" * (2 * LONG + 1), 'ä"\\\n' * LONG, "a" * LONG + "\x7f\x00"])
def test_a_long_text_is_hashed_in_pieces_as_the_whole(text: str) -> None:
    whole = json.dumps({"input": [text]}).encode()
    assert hash_of({"input": [text]}) == hashlib.sha256(whole).hexdigest()


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "repeat", "counted"),
    [
        ({}, False, False),
        ({"x_stainless_retry_count": "0"}, False, True),
        ({"x_stainless_retry_count": "1"}, True, True),
        ({"x_stainless_retry_count": "9" * 5000}, True, True),
        ({"x_stainless_retry_count": "-1"}, False, True),
        ({"x_stainless_retry_count": ""}, False, True),
    ],
)
def test_a_count_of_retries_makes_a_repeat(*, headers: dict[str, str], repeat: bool, counted: bool) -> None:
    delivery = read_delivery(request(**headers), "h")
    assert (delivery.key, delivery.repeat, delivery.counted) == ("body:h", repeat, counted)


def test_a_key_is_hashed_and_always_makes_a_repeat() -> None:
    first, second = (read_delivery(request(idempotency_key="k"), body) for body in ("h", "i"))
    assert (first.key, first.repeat, first.body_hash, second.body_hash) == (second.key, True, "h", "i")
    assert first.key.startswith("key:")
    assert may_be_repeat(request(idempotency_key="k"))


@pytest.mark.parametrize("key", ["", "k" * (KEY_LIMIT + 1)])
def test_a_key_has_a_length(key: str) -> None:
    assert read_delivery(request(idempotency_key="k" * KEY_LIMIT), "h").repeat
    with pytest.raises(Invalid, match="expected 1 to 256 characters"):
        read_delivery(request(idempotency_key=key), "h")
