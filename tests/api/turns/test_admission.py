"""Does a request become exactly one turn, even if a step fails or it is sent repeatedly?"""

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import pytest

from domain.log.events import ResponseStatus
from domain.money.budgets import Budgets, BudgetScope
from domain.money.ledger_records import ReservationStatus
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.api.harness import Api, api
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

BODY = {"input": "hi", "model": "model"}
CALLS = 7
"""The store calls of a first admission: claim and limits (read and write, in parallel), reserve, admit."""


def held(store: MemoryStore, *, faults: Faults | None = None) -> Api:
    """Return the API of one process; started orchestrations are recorded and not run."""
    one = api(store=FlakyStore(store, Random(0), faults), clock=clock_of(store))  # noqa: S311 - a test must repeat
    one.orchestrations.hold = True
    return one


def clock_of(store: MemoryStore) -> FakeClock:
    assert isinstance(store.clock, FakeClock)
    return store.clock


def documents(store: MemoryStore, kind: str) -> Iterator[Any]:
    for rows in store.partitions.values():
        yield from (row.document for row in rows.values() if row.document.body["kind"] == kind)


def responses(store: MemoryStore) -> list[Response]:
    return [Response.from_document(one.id, one.body) for one in documents(store, "response")]


async def send(one: Api, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    return await one.create({**(body or BODY), "background": True}, **headers)


async def retry(one: Api, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    """Send a request as the official SDKs do when they retry."""
    return await send(one, body, x_stainless_retry_count="1", **headers)


async def test_admission_takes_four_round_trips_to_the_store_and_one_poll_of_the_log() -> None:
    one = held(MemoryStore(FakeClock()))
    assert (await send(one)).status_code == 200
    store = one.world.store
    assert isinstance(store, FlakyStore)
    names = [call.name for call in store.calls]
    assert sorted(names[:5]) == ["commit", "commit", "read", "read", "read"]
    assert names[5:] == ["commit", "commit", "list"]


@pytest.mark.parametrize("number", range(CALLS))
@pytest.mark.parametrize("fault", list(Fault))
async def test_a_failure_at_any_step_and_a_retry_create_one_turn(number: int, fault: Fault) -> None:
    store = MemoryStore(FakeClock())
    broken = held(store, faults=Faults(at={number: fault}))
    try:
        first = await send(broken, x_stainless_retry_count="0")
        assert first.status_code == 503
        assert first.headers["retry-after"] == "1"
    except CrashError:
        pass
    started = broken.orchestrations.started
    assert started == []
    fresh = held(store)
    retried = await retry(fresh)
    assert retried.status_code == 200
    turn = retried.json()["id"]
    assert [response.id for response in responses(store)] == [turn]
    assert [one.body["response"] for one in documents(store, "reservation")] == [turn]
    assert fresh.orchestrations.started == [turn]
    assert len(list(documents(store, "item"))) == 1


async def test_a_retry_starts_a_turn_that_was_not_started() -> None:
    store = MemoryStore(FakeClock())
    broken = held(store, faults=Faults(at={CALLS: Fault.CRASH_BEFORE}))
    with pytest.raises(CrashError):
        await send(broken)
    fresh = held(store)
    retried = await retry(fresh)
    assert [response.id for response in responses(store)] == [retried.json()["id"]] == fresh.orchestrations.started


async def test_a_new_request_with_the_same_body_is_a_new_turn() -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    first, second = await send(one), await send(one)
    assert first.json()["id"] != second.json()["id"]
    third = await retry(one)
    assert third.json()["id"] == second.json()["id"]


async def test_a_retry_with_another_body_is_a_new_turn() -> None:
    one = held(MemoryStore(FakeClock()))
    first = await send(one)
    other = await retry(one, {**BODY, "input": "ho"})
    assert first.json()["id"] != other.json()["id"]


async def test_a_retry_by_another_owner_is_a_new_turn() -> None:
    one = held(MemoryStore(FakeClock()))
    first = await send(one)
    other = await retry(one, authorization="Bearer strange")
    assert other.status_code == 200
    assert first.json()["id"] != other.json()["id"]


async def test_a_retry_ten_minutes_later_is_a_new_turn() -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    first = await send(one)
    clock_of(store).advance(601)
    assert (await retry(one)).json()["id"] != first.json()["id"]


async def test_an_idempotency_key_names_one_turn_for_equal_bodies() -> None:
    one = held(MemoryStore(FakeClock()))
    first = await send(one, idempotency_key="mine")
    body = '{ "background": true, "model": "model", "input": "\\u0068i" }'
    second = await one.http.post("/v1/responses", content=body, headers={"idempotency-key": "mine"})
    other = await send(one, idempotency_key="another")
    assert first.json()["id"] == second.json()["id"] != other.json()["id"]


async def test_an_idempotency_key_with_another_body_is_rejected() -> None:
    one = held(MemoryStore(FakeClock()))
    await send(one, idempotency_key="mine")
    other = await send(one, {**BODY, "input": "ho"}, idempotency_key="mine")
    assert (other.status_code, other.headers["x-should-retry"]) == (409, "false")
    assert len(one.orchestrations.started) == 1


@pytest.mark.parametrize("key", ["", "x" * 257])
async def test_the_length_of_an_idempotency_key_is_limited(key: str) -> None:
    one = held(MemoryStore(FakeClock()))
    assert (await send(one, idempotency_key=key)).status_code == 400


async def test_a_repeat_of_a_running_turn_starts_nothing() -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    first = (await send(one)).json()
    await TurnStore(store, clock_of(store), WebhookEndpoints()).begin(OWNER, first["id"], execution="e")
    second = (await retry(one)).json()
    assert (second["id"], second["status"]) == (first["id"], "in_progress")
    assert one.orchestrations.started == [first["id"]]


async def test_a_repeated_stream_is_the_same_stream() -> None:
    one = api()
    first = await one.create({**BODY, "stream": True})
    await one.orchestrations.ended()
    second = await one.create({**BODY, "stream": True}, x_stainless_retry_count="1")
    assert first.text == second.text
    assert len(one.orchestrations.started) == 1


async def test_the_worst_cost_is_reserved_before_the_turn_starts() -> None:
    one = held(MemoryStore(FakeClock()))
    found = (await send(one, {**BODY, "max_output_tokens": 100})).json()
    reservation = await one.world.ledger.reservation(OWNER, found["id"])
    assert reservation
    assert reservation.status is ReservationStatus.OPEN
    assert 0.0002 <= reservation.amount < 0.001


async def test_a_turn_belongs_to_the_trace_of_its_request() -> None:
    one = held(MemoryStore(FakeClock()))
    trace = "0af7651916cd43dd8448eb211c80319c"
    body = (await send(one, traceparent=f"00-{trace}-b7ad6b7169203331-01")).json()
    stored = await one.world.turns.read(OWNER, body["id"])
    assert stored.traceparent.split("-")[1] == trace


async def test_a_conversation_reserves_for_its_history() -> None:
    one = api()
    first = (await one.create({**BODY, "input": "x" * 1000, "max_output_tokens": 20})).json()
    one.orchestrations.hold = True
    second = await send(one, {"previous_response_id": first["id"], "input": "y", "max_output_tokens": 20})
    alone = await one.world.ledger.reservation(OWNER, first["id"])
    longer = await one.world.ledger.reservation(OWNER, second.json()["id"])
    assert alone
    assert longer
    assert longer.amount > alone.amount


async def test_a_turn_belongs_to_the_thread_of_its_predecessor() -> None:
    one = api()
    first = await one.create(BODY)
    second = await one.create({**BODY, "previous_response_id": first.json()["id"]})
    assert second.json()["previous_response_id"] == first.json()["id"]
    assert second.json()["id"][5:29] == first.json()["id"][5:29]


async def test_a_turn_cannot_continue_an_unknown_response() -> None:
    one = api()
    theirs = await one.create(BODY, authorization="Bearer strange")
    ours = (await one.create(BODY)).json()
    for previous in ("resp_1", "resp_" + "0" * 48, theirs.json()["id"], ours["output"][0]["id"]):
        answer = await one.create({**BODY, "previous_response_id": previous})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "previous_response_id"
        assert answer.json()["error"]["code"] == "previous_response_not_found"


async def test_a_turn_cannot_continue_a_running_one() -> None:
    one = held(MemoryStore(FakeClock()))
    first = (await send(one)).json()
    answer = await send(one, {**BODY, "previous_response_id": first["id"]})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "true")
    assert answer.headers["x-ganglion-running-response"] == first["id"]
    assert answer.json()["error"]["code"] == "conversation_locked"
    await TurnStore(one.world.store, one.world.clock, WebhookEndpoints()).finish(
        OWNER, first["id"], status=ResponseStatus.CANCELLED
    )
    assert (await send(one, {**BODY, "previous_response_id": first["id"]})).status_code == 200


async def test_a_referenced_item_is_copied() -> None:
    one = api()
    first = (await one.create({**BODY, "input": "I am Ada"})).json()
    answer = first["output"][0]
    second = await one.create({**BODY, "input": [{"type": "item_reference", "id": answer["id"]}, {"id": answer["id"]}]})
    stored = await one.world.turns.read(OWNER, second.json()["id"])
    items = await one.world.turns.items(OWNER, stored.input_items)
    assert [item.text for item in items] == [answer["content"][0]["text"]] * 2
    assert len({item.id for item in items} | {answer["id"]}) == 3


async def test_only_items_can_be_referenced() -> None:
    one = api()
    response = (await one.create(BODY)).json()["id"]
    talk = (await one.http.post("/v1/conversations", json={})).json()["id"]
    for identifier in (response, talk):
        answer = await one.create({**BODY, "input": [{"role": "user", "content": "x"}, {"id": identifier}]})
        assert answer.status_code == 404
        assert answer.json()["error"]["param"] == "input[1].id"


@pytest.mark.parametrize("identifier", ["msg_1", "msg_" + "0" * 48, "x", "../a"])
async def test_an_unknown_reference_is_named(identifier: str) -> None:
    one = api()
    answer = await one.create({**BODY, "input": [{"role": "user", "content": "x"}, {"id": identifier}]})
    assert answer.status_code == 404
    assert answer.json()["error"]["param"] == "input[1].id"
    assert "response" not in await one.stored()


async def test_an_exhausted_budget_rejects_a_turn_and_sdks_do_not_retry() -> None:
    store = MemoryStore(FakeClock())
    one = held(store)
    one.world.ledger.budget_counters.configured = Budgets(limits={BudgetScope.OWNER_DAY: Decimal("0.0001")})
    rejected = await send(one)
    assert (rejected.status_code, rejected.headers["x-should-retry"]) == (429, "false")
    error = rejected.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert error["message"] == (
        "Your budget for the day has no room for this turn: $0.001074 may be needed, $0.0001 of $0.0001 is left. "
        "It renews at 2027-01-16T00:00:00Z."
    )
    assert responses(store) == []


async def test_a_nearly_used_budget_is_reported_in_the_metadata() -> None:
    one = held(MemoryStore(FakeClock()))
    one.world.ledger.budget_counters.configured = Budgets(
        limits={BudgetScope.OWNER_DAY: Decimal(1)}, warn_share=Decimal("0.000001")
    )
    assert (await send(one)).json()["metadata"]["ganglion_budget"] == "Your budget for the day is nearly used up."
