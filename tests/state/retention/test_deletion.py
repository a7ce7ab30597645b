"""Does a deletion remove everything that it should and nothing else, also after a crash at any step?"""

import asyncio
from collections.abc import Sequence
from copy import replace
from random import Random

import pytest

from clients.storage.port import Document, DocumentKey
from domain.content.items import Item, Role
from domain.errors import GanglionError, NotFound
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.log.item_events import ItemHeader
from domain.sources.catalog import FetchedRows
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.retention.deletion import Retention
from state.turns.conversations import ConversationStore
from state.turns.expiry import UNSTORED_S
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

SECRET = "heron"
STRANGER = Owner(tenant=OWNER.tenant, subject="user:other")
CREATED = (LogEvent(kind=EventKind.CREATED),)


class Archive:
    """Turns that say a secret everywhere a turn can, and what is left of it in the store."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.turns = TurnStore(self.store, self.clock, WebhookEndpoints())
        self.conversations = ConversationStore(self.store, self.clock)
        self.retention = Retention(self.store, self.turns, self.clock)

    def left(self) -> list[str]:
        """Return the ids of the documents that still hold the secret."""
        return [name for key in self.store.partitions for name, row in self.store.rows(key).items() if holds(row.data)]

    async def turn(self, *, thread: str = "", owner: Owner = OWNER, store: bool = True, conversation: str = "") -> str:
        """Admit a turn, answer it and leave it running; return its id."""
        thread = thread or self.clock.token()
        item = Item(id=member_id("msg", thread=thread, token=self.clock.token()), role=Role.USER, text=SECRET)
        response = Response(
            id=member_id("resp", thread=thread, token=self.clock.token()),
            owner=owner,
            created_at=self.clock.now(),
            deadline_at=self.clock.now() + 900,
            input_items=(item.id,),
            options=ResponseOptions(model="model", store=store, instructions=SECRET, sources=("s",)),
            history=ResponseHistory(conversation=conversation or None),
        )
        await self.turns.record_request(
            owner, key=f"k{response.token}", body_hash="h", response_id=response.id, repeat=False, new_thread=True
        )
        await self.turns.admit(response, (item,), CREATED)
        await self.turns.begin(owner, response.id, execution="run")
        await self.turns.retrieved_context.record(response, (FetchedRows(source="s", rows=({"text": SECRET},)),))
        await self.turns.record_route(owner, response.id, number=1, route={"reason": SECRET}, routed={})
        head = ItemHeader(id=member_id("msg", thread=thread, token=self.clock.token()))
        events = (LogEvent(kind=EventKind.ITEM_ADDED, header=head), LogEvent(kind=EventKind.TEXT, text=SECRET))
        await self.turns.append(owner, response.id, Slot(number=2, writer="run", first=2, at=1.0, events=events))
        return response.id

    async def ended(self, response_id: str) -> None:
        await self.turns.finish(OWNER, response_id, status=ResponseStatus.COMPLETED)


def holds(data: bytes) -> bool:
    return SECRET.encode() in data


@pytest.fixture
def archive() -> Archive:
    return Archive()


async def test_a_deleted_response_is_cancelled_first_and_nothing_of_it_is_left(archive: Archive) -> None:
    response_id = await archive.turn()
    ended = await archive.retention.delete_response(OWNER, response_id)
    assert ended.status is ResponseStatus.CANCELLED
    assert archive.left() == []
    with pytest.raises(NotFound):
        await archive.turns.read(OWNER, response_id)
    with pytest.raises(NotFound):
        await archive.retention.delete_response(OWNER, response_id)


async def test_a_writer_that_is_still_active_finds_its_slot_taken(archive: Archive) -> None:
    response_id = await archive.turn()
    await archive.retention.delete_response(OWNER, response_id)
    event = LogEvent(kind=EventKind.TEXT, text=SECRET)
    assert not await archive.turns.append(
        OWNER, response_id, Slot(number=3, writer="run", first=4, at=1.0, events=(event,))
    )
    assert archive.left() == []


@pytest.mark.parametrize("seed", range(10))
async def test_parallel_deletions_of_a_response_all_succeed(archive: Archive, seed: int) -> None:
    response_id = await archive.turn()
    store = HesitantStore(archive.store, Random(seed))  # noqa: S311 - a test's seed
    retention = Retention(store, TurnStore(store, archive.clock, WebhookEndpoints()), archive.clock)
    deleted = await asyncio.gather(*(retention.delete_response(OWNER, response_id) for _ in range(3)))
    assert [(each.id, each.status) for each in deleted] == [(response_id, ResponseStatus.CANCELLED)] * 3
    assert archive.left() == []


class HesitantStore(FlakyStore):
    """A store that lets others go first now and then."""

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        found = await super().list(key, prefix=prefix, after=after, limit=limit)
        for _ in range(self.random.randint(0, 3)):
            await asyncio.sleep(0)
        return found


async def test_another_owners_response_is_not_found_and_stays(archive: Archive) -> None:
    response_id = await archive.turn()
    with pytest.raises(NotFound):
        await archive.retention.delete_response(STRANGER, response_id)
    assert archive.left()


async def test_an_unstored_response_is_deleted_ten_minutes_after_its_end(archive: Archive) -> None:
    response_id = await archive.turn(store=False)
    await archive.ended(response_id)
    archive.clock.advance(UNSTORED_S - 1)
    assert await archive.retention.clear_due() == 0
    assert await archive.turns.read(OWNER, response_id)
    archive.clock.advance(2)
    assert await archive.retention.clear_due() == 1
    assert archive.left() == []
    assert await archive.retention.clear_due() == 0


async def test_many_turns_that_end_in_a_minute_are_cleared_in_one(archive: Archive) -> None:
    for _ in range(150):
        await archive.ended(await archive.turn(store=False))
    archive.clock.advance(UNSTORED_S + 1)
    assert await archive.retention.clear_due() == 150
    assert archive.left() == []


async def test_a_stored_response_stays(archive: Archive) -> None:
    response_id = await archive.turn()
    await archive.ended(response_id)
    archive.clock.advance(10 * 86_400)
    assert await archive.retention.clear_due() == 0
    assert (await archive.turns.read(OWNER, response_id)).status is ResponseStatus.COMPLETED


async def test_retrieved_rows_expire_soon_after_the_deadline(archive: Archive) -> None:
    response_id = await archive.turn()
    await archive.ended(response_id)
    archive.clock.advance(900 + 3601)
    assert not [name for name in archive.left() if name.startswith("given")]
    assert await archive.turns.retrieved_context.source_reports(OWNER, response_id)


async def test_a_deleted_conversation_takes_its_running_turn_and_all_else_with_it(archive: Archive) -> None:
    items = [Item(id="", role=Role.USER, text=SECRET)]
    conversation = await archive.conversations.create(OWNER, metadata={"about": SECRET})
    thread = conversation.id.removeprefix("conv_")
    running = await archive.turn(thread=thread, conversation=conversation.id)
    await archive.conversations.add(OWNER, conversation.id, items)
    cancelled = await archive.retention.delete_conversation(OWNER, conversation.id)
    assert [each.id for each in cancelled] == [running]
    assert archive.left() == []
    with pytest.raises(NotFound):
        await archive.conversations.read(OWNER, conversation.id)


async def test_the_items_of_a_deleted_response_stay_in_their_conversation(archive: Archive) -> None:
    conversation = await archive.conversations.create(OWNER, metadata={})
    thread = conversation.id.removeprefix("conv_")
    response_id = await archive.turn(thread=thread, conversation=conversation.id)
    await archive.ended(response_id)
    await archive.retention.delete_response(OWNER, response_id)
    page = await archive.conversations.items(OWNER, conversation.id, order="asc")
    assert [item.text for item in page.items] == [SECRET, SECRET]


async def test_one_call_erases_one_owner_alone(archive: Archive) -> None:
    running = await archive.turn()
    await archive.ended(await archive.turn())
    await archive.conversations.create(OWNER, metadata={"about": SECRET})
    theirs = await archive.turn(owner=STRANGER)
    assert await archive.retention.erasure.erase(OWNER) == (running,)
    kept = {key.parts[1] for key in archive.store.partitions if any(map(holds, data_of(archive, key)))}
    assert kept == {STRANGER.subject}
    assert await archive.turns.read(STRANGER, theirs)
    assert await archive.retention.erasure.erase(OWNER) == ()


def data_of(archive: Archive, key: object) -> list[bytes]:
    return [row.data for one, rows in archive.store.partitions.items() if one == key for row in rows.values()]


@pytest.mark.parametrize("seed", range(120))
async def test_a_deletion_that_is_cut_short_is_finished_by_the_next(seed: int) -> None:
    archive = Archive()
    conversation = await archive.conversations.create(OWNER, metadata={"about": SECRET})
    response_id = await archive.turn(thread=conversation.id.removeprefix("conv_"), conversation=conversation.id)
    for life in range(30):
        rate = 0.25 if life < 20 else 0.0
        flaky = FlakyStore(archive.store, Random(seed * 50 + life), Faults(rate=rate))  # noqa: S311 - a test's seed
        retention = Retention(flaky, TurnStore(flaky, archive.clock, WebhookEndpoints()), archive.clock)
        archive.clock.advance(1)
        try:
            await retention.delete_conversation(OWNER, conversation.id)
        except NotFound:
            break
        except (CrashError, GanglionError):
            continue
    archive.clock.advance(1)
    await archive.retention.clear_due()
    assert archive.left() == []
    with pytest.raises(NotFound):
        await archive.turns.read(OWNER, response_id)


async def test_a_response_without_sources_costs_no_read_of_them(archive: Archive) -> None:
    response_id = await archive.turn()
    with_sources = await archive.turns.read(OWNER, response_id)
    plain = replace(with_sources, options=replace(with_sources.options, sources=()))
    assert await archive.turns.retrieved_context.text_or_missing(plain) == ""
