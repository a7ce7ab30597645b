"""Is a repeated request known again, and does a rejected one leave no record and no thread?"""

import asyncio

import pytest

from clients.storage.keys import owner_index_key, thread_id
from domain.errors import Conflict
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.idempotency import KEPT_S, IdempotencyRecords
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

STRANGER = Owner(tenant=OWNER.tenant, subject="user:other")
THREAD = "a" * 24
FIRST = member_id("resp", thread=THREAD, token="b" * 24)


@pytest.fixture
def turns(store: MemoryStore, clock: FakeClock) -> TurnStore:
    return TurnStore(store, clock, WebhookEndpoints())


@pytest.fixture
async def records(store: MemoryStore, clock: FakeClock) -> IdempotencyRecords:
    """The record of the key k, whose response begins a thread."""
    made = IdempotencyRecords(store, clock)
    await made.record(OWNER, key="k", body_hash="h", response_id=FIRST, repeat=True, new_thread=True)
    return made


async def left(store: MemoryStore) -> list[str]:
    return [each.id for each in await store.list(owner_index_key(OWNER), prefix="")]


async def test_a_repeated_request_continues_with_its_response(turns: TurnStore) -> None:
    first = await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_1", repeat=True)
    again = await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_2", repeat=True)
    assert (first, again) == ("resp_1", "resp_1")


async def test_a_key_that_is_repeated_with_another_body_is_a_conflict(turns: TurnStore) -> None:
    await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_1", repeat=True)
    with pytest.raises(Conflict, match="another body"):
        await turns.record_request(OWNER, key="k", body_hash="other", response_id="resp_2", repeat=True)


async def test_a_request_that_is_no_repeat_replaces_the_record_of_its_key(turns: TurnStore) -> None:
    await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_1", repeat=False)
    assert await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_2", repeat=False) == "resp_2"
    assert await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_3", repeat=True) == "resp_2"


async def test_an_idempotency_record_is_its_owners_and_expires_after_ten_minutes(
    turns: TurnStore, clock: FakeClock
) -> None:
    await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_1", repeat=True)
    assert await turns.record_request(STRANGER, key="k", body_hash="x", response_id="resp_2", repeat=True) == "resp_2"
    clock.advance(KEPT_S - 1)
    assert await turns.record_request(OWNER, key="k", body_hash="h", response_id="resp_3", repeat=True) == "resp_1"
    clock.advance(2)
    assert await turns.record_request(OWNER, key="k", body_hash="other", response_id="resp_4", repeat=True) == "resp_4"


async def test_repeats_at_once_become_one_response(turns: TurnStore) -> None:
    claims = (
        turns.record_request(OWNER, key="k", body_hash="h", response_id=f"resp_{number}", repeat=True)
        for number in range(10)
    )
    assert len(set(await asyncio.gather(*claims))) == 1


async def test_the_last_holder_that_is_rejected_deletes_the_record_and_the_thread(
    records: IdempotencyRecords, store: MemoryStore
) -> None:
    assert await left(store) == ["claim_k", thread_id(THREAD)]
    assert await records.add_holder(OWNER, key="k", response_id=FIRST)
    for remaining in (["claim_k", thread_id(THREAD)], [], []):
        await records.remove_holder(OWNER, key="k", response_id=FIRST, new_thread=True)
        assert await left(store) == remaining


async def test_a_thread_that_was_there_before_stays(records: IdempotencyRecords, store: MemoryStore) -> None:
    await records.remove_holder(OWNER, key="k", response_id=FIRST, new_thread=False)
    assert await left(store) == [thread_id(THREAD)]


async def test_a_holder_of_a_record_that_has_changed_changes_nothing(
    records: IdempotencyRecords, store: MemoryStore
) -> None:
    await records.record(OWNER, key="k", body_hash="h", response_id="resp_2", repeat=False, new_thread=False)
    assert not await records.add_holder(OWNER, key="k", response_id=FIRST)
    assert not await records.add_holder(OWNER, key="other", response_id=FIRST)
    await records.remove_holder(OWNER, key="k", response_id=FIRST, new_thread=True)
    assert await left(store) == ["claim_k", thread_id(THREAD)]


async def test_a_holder_does_not_lengthen_the_life_of_a_record(
    records: IdempotencyRecords, store: MemoryStore, clock: FakeClock
) -> None:
    clock.advance(KEPT_S - 1)
    await records.add_holder(OWNER, key="k", response_id=FIRST)
    clock.advance(1)
    assert await left(store) == [thread_id(THREAD)]


async def test_a_thread_that_is_registered_already_does_not_stop_a_record(
    records: IdempotencyRecords, store: MemoryStore
) -> None:
    second = member_id("resp", thread=THREAD, token="c" * 24)
    again = await records.record(OWNER, key="k2", body_hash="h", response_id=second, repeat=True, new_thread=True)
    assert again == second
    assert await left(store) == ["claim_k", "claim_k2", thread_id(THREAD)]


async def test_a_forgotten_key_is_free(records: IdempotencyRecords) -> None:
    for _ in range(2):
        await records.forget(OWNER, "k")
    again = await records.record(OWNER, key="k", body_hash="x", response_id="resp_2", repeat=True, new_thread=False)
    assert again == "resp_2"
