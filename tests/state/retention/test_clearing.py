"""Is a thread cleared of all that may go, and of nothing that is still needed?"""

from copy import replace
from typing import Any

import pytest

from clients.storage.keys import turns_key
from clients.storage.port import Create, DocumentKey
from domain.log.events import EMPTIED_BY, EventKind, LogEvent, Slot
from domain.tools.call_record import ORPHAN, CallRecord, RemoteTask
from domain.turns.webhook_events import WebhookEndpoints
from state.files.parts import HEAD, blob_mark
from state.files.places import FilePlaces
from state.retention.clearing import EMPTIED_S, ORPHANS_S, Clearing
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.contents import MemoryContents
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER
from tests.state.turns.places import Place

THREAD = "a" * 24
KEY = turns_key(OWNER, THREAD)
SLOT = Slot(number=2, writer="run", first=5, at=1.0, events=(LogEvent(kind=EventKind.TEXT, text="heron"),))
CALL = CallRecord(
    response=f"resp_{THREAD}{'b' * 24}",
    item=f"mcp_{THREAD}{'c' * 24}",
    server="shop",
    tool="wait",
    arguments_hash="h",
    starter=f"resp_{THREAD}{'b' * 24}/1",
    started_at=1.0,
    send_until=2.0,
    ends_by=3.0,
    task=RemoteTask(id="t1", poll_s=1.0, since=1.0, until=9.0),
)


@pytest.fixture
def outside() -> MemoryContents:
    return MemoryContents()


@pytest.fixture
def clearing(store: MemoryStore, clock: FakeClock, outside: MemoryContents) -> Clearing:
    return Clearing(store, TurnStore(store, clock, WebhookEndpoints()), clock, FilePlaces(store, outside))


async def left(store: MemoryStore, key: DocumentKey = KEY) -> dict[str, Any]:
    return {each.id: each.body for each in await store.list(key, prefix="")}


async def test_a_slot_is_emptied_and_stays_a_day_so_that_its_writer_stops(
    clearing: Clearing, store: MemoryStore, clock: FakeClock
) -> None:
    await store.commit(KEY, (Create(id="slot_b_000002", body=SLOT.to_document()),))
    await clearing.clear_thread(KEY)
    kept = Slot.from_document((await left(store))["slot_b_000002"])
    assert (kept.number, kept.first, kept.writer, kept.events) == (2, 5, EMPTIED_BY, ())
    clock.advance(EMPTIED_S - 1)
    await clearing.clear_thread(KEY)
    clock.advance(1)
    assert await left(store) == {}, "clearing it again does not lengthen its life"


async def test_a_slot_that_cannot_be_read_is_deleted(clearing: Clearing, store: MemoryStore) -> None:
    await store.commit(KEY, (Create(id="slot_b_000002", body={"kind": "slot"}), Create(id="slot_b_000003", body={})))
    await clearing.clear_thread(KEY)
    assert await left(store) == {}


async def test_what_is_still_to_be_done_stays(clearing: Clearing, store: MemoryStore) -> None:
    documents = {
        "announcement_1": {"kind": "announcement", "status": "due"},
        "announcement_2": {"kind": "announcement", "status": "delivered"},
        "ended_wait_1": {"kind": "ended_wait", "status": "pending"},
        "msg_1": {"kind": "item"},
        "expiry_1": {"kind": "expiry", "status": "due"},
    }
    await store.commit(KEY, [Create(id=name, body=body) for name, body in documents.items()])
    await clearing.clear_thread(KEY)
    assert set(await left(store)) == {"announcement_1", "ended_wait_1"}


async def test_the_task_of_a_call_can_be_cancelled_for_an_hour(
    clearing: Clearing, store: MemoryStore, clock: FakeClock
) -> None:
    await store.commit(KEY, (Create(id=CALL.id, body=CALL.to_document()),))
    for _ in range(2):
        await clearing.clear_thread(KEY)
        assert (await left(store))[CALL.id]["kind"] == ORPHAN
    clock.advance(ORPHANS_S)
    assert await left(store) == {}


@pytest.mark.parametrize("body", [replace(CALL, task=None).to_document(), {"kind": "call", "task": "broken"}, {}])
async def test_a_call_without_a_task_leaves_nothing(
    clearing: Clearing, store: MemoryStore, body: dict[str, Any]
) -> None:
    await store.commit(KEY, (Create(id=CALL.id, body=body),))
    await clearing.clear_thread(KEY)
    assert await left(store) == {}


async def test_only_the_documents_of_a_prefix_are_cleared(clearing: Clearing, store: MemoryStore) -> None:
    await store.commit(KEY, [Create(id=name, body={}) for name in ("given_b_1", "given_b_2", "given_c_1", "msg_1")])
    await clearing.clear_prefix(KEY, "given_b_")
    assert set(await left(store)) == {"given_c_1", "msg_1"}


@pytest.mark.parametrize("is_head_damaged", [False, True])
async def test_a_content_outside_goes_with_its_thread(
    clearing: Clearing, store: MemoryStore, outside: MemoryContents, *, is_head_damaged: bool
) -> None:
    await outside.write(KEY, 0, b"heron")
    await store.commit(KEY, (blob_mark(1.0), Create(id=HEAD, body={"kind": "file"})))
    if is_head_damaged:
        store.put(KEY, HEAD, replace(store.rows(KEY)[HEAD], data=b"no JSON"))
    await clearing.clear_thread(KEY)
    assert (outside.blocks, await left(store)) == ({}, {})


async def test_a_damaged_head_does_not_keep_a_thread_from_being_cleared(clearing: Clearing, store: MemoryStore) -> None:
    await store.commit(KEY, [Create(id=name, body={"kind": "file"}) for name in (HEAD, "msg_1")])
    store.put(KEY, HEAD, replace(store.rows(KEY)[HEAD], data=b"no JSON"))
    await clearing.clear_thread(KEY)
    assert await left(store) == {}


async def test_a_running_turn_whose_log_is_damaged_does_not_keep_its_thread_from_being_erased() -> None:
    place = Place()
    running = await place.admitted(await place.conversation("before"), "heron")
    key = turns_key(OWNER, running.thread)
    for name, row in list(place.store.rows(key).items()):
        if name.startswith("slot_"):
            place.store.put(key, name, replace(row, data=b"no JSON"))
    erasing = Clearing(place.store, place.turns, place.clock, FilePlaces(place.store))
    assert await erasing.erase_thread(OWNER, running.thread) == [running.id]
    assert [each["events"] for each in (await left(place.store, key)).values()] == [[]]
