"""Does a conversation keep its order and at most one running turn when many requests change it at once?"""

import asyncio
from collections.abc import Sequence
from copy import replace
from random import Random

import pytest

from domain.content.items import Item, ItemKind, Role
from domain.errors import GanglionError, Invalid, NotFound
from domain.identity.owners import Owner
from domain.ids import member_id, thread_of
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.log.item_events import ItemHeader
from domain.turns.conversations import Conversation
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.conversations import ConversationStore
from state.turns.responses import TurnStore
from tests.checks import every
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

STRANGER = Owner(tenant=OWNER.tenant, subject="user:other")
CREATED = (LogEvent(kind=EventKind.CREATED),)


class Place:
    """Conversations and turns over one store."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.turns = TurnStore(self.store, self.clock, WebhookEndpoints())
        self.conversations = ConversationStore(self.store, self.clock)

    async def conversation(self, *texts: str) -> Conversation:
        return await self.conversations.create(OWNER, metadata={}, items=[said(text) for text in texts])

    async def asked(self, conversation: Conversation, text: str, *, store: bool = True) -> tuple[Response, Item]:
        """Return a turn that reads the conversation as it stands, not admitted yet."""
        now = await self.conversations.read(OWNER, conversation.id)
        thread = thread_of(conversation.id) or ""
        item = replace(said(text), id=member_id("msg", thread=thread, token=self.clock.token()))
        response = Response(
            id=member_id("resp", thread=thread, token=self.clock.token()),
            owner=OWNER,
            created_at=self.clock.now(),
            deadline_at=self.clock.now() + 600,
            input_items=(item.id,),
            options=ResponseOptions(model="model", store=store),
            history=ResponseHistory(conversation=conversation.id, reads_before=now.next_entry),
        )
        return response, item

    async def admitted(self, conversation: Conversation, text: str) -> Response:
        response, item = await self.asked(conversation, text)
        await self.turns.admit(response, (item,), CREATED)
        return response

    async def answered(
        self, conversation: Conversation, text: str, answer: str, status: ResponseStatus = ResponseStatus.COMPLETED
    ) -> Response:
        response = await self.admitted(conversation, text)
        await self.turns.begin(OWNER, response.id, execution="run")
        head = ItemHeader(id=member_id("msg", thread=response.thread, token=self.clock.token()))
        events = (
            LogEvent(kind=EventKind.ITEM_ADDED, header=head),
            LogEvent(kind=EventKind.PART_ADDED),
            LogEvent(kind=EventKind.TEXT, text=answer),
        )
        slot = Slot(number=2, writer="run", first=2, at=self.clock.now(), events=events)
        assert await self.turns.append(OWNER, response.id, slot)
        return await self.turns.finish(OWNER, response.id, status=status)

    async def texts(self, conversation: Conversation) -> list[str]:
        page = await self.conversations.items(OWNER, conversation.id, limit=100, order="asc")
        return [item.text for item in page.items]


def said(text: str) -> Item:
    return Item(id="", role=Role.USER, text=text)


@pytest.fixture
def place() -> Place:
    return Place()


async def listed(place: Place, conversation: Conversation, *, limit: int, order: str) -> Sequence[str]:
    """Return all items, page by page."""
    found: list[str] = []
    after = ""
    while True:
        page = await place.conversations.items(
            OWNER, conversation.id, after=after, limit=limit, order="asc" if order == "asc" else "desc"
        )
        found += [item.text for item in page.items]
        if not page.more:
            return found
        assert len(page.items) == limit
        after = page.items[-1].id


async def test_a_conversation_is_read_changed_and_another_owners_is_not_found(place: Place) -> None:
    made = await place.conversations.create(OWNER, metadata={"topic": "one"})
    changed = await place.conversations.update_metadata(OWNER, made.id, metadata={"topic": "two"})
    assert changed == replace(made, metadata={"topic": "two"})
    assert await place.conversations.read(OWNER, made.id) == changed
    for identifier in (made.id, "conv_", "conv_x", "resp_1", ""):
        with pytest.raises(NotFound):
            await place.conversations.read(STRANGER, identifier)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
async def test_pages_of_any_size_return_every_item_once_in_order(place: Place, order: str, limit: int) -> None:
    conversation = await place.conversation("1", "2", "3")
    await place.conversations.add(OWNER, conversation.id, [said("4"), said("5")])
    await place.answered(conversation, "6", "7")
    wanted = [str(number) for number in range(1, 8)]
    assert await listed(place, conversation, limit=limit, order=order) == (wanted if order == "asc" else wanted[::-1])


async def test_a_deleted_item_is_gone_and_is_still_a_cursor(place: Place) -> None:
    conversation = await place.conversation("1", "2", "3")
    page = await place.conversations.items(OWNER, conversation.id, order="asc")
    second = page.items[1].id
    await place.conversations.delete_item(OWNER, conversation.id, second)
    assert await place.texts(conversation) == ["1", "3"]
    after = await place.conversations.items(OWNER, conversation.id, after=second, order="asc")
    assert [item.text for item in after.items] == ["3"]
    for gone in (second, "msg_none", conversation.id):
        with pytest.raises(NotFound):
            await place.conversations.delete_item(OWNER, conversation.id, gone)
    with pytest.raises(Invalid):
        await place.conversations.items(OWNER, conversation.id, after="msg_none")


async def test_a_turn_reads_the_conversation_and_becomes_part_of_it(place: Place) -> None:
    conversation = await place.conversation("I am Ada")
    await place.answered(conversation, "hello", "hello Ada")
    second = await place.admitted(conversation, "who am I?")
    assert [item.text for item in await place.turns.history(second)] == ["I am Ada", "hello", "hello Ada", "who am I?"]
    assert await place.texts(conversation) == ["I am Ada", "hello", "hello Ada"]


async def test_a_turn_does_not_read_what_is_added_while_it_runs(place: Place) -> None:
    conversation = await place.conversation("before")
    running = await place.admitted(conversation, "asked")
    await place.conversations.add(OWNER, conversation.id, [said("meanwhile")])
    assert [item.text for item in await place.turns.history(running)] == ["before", "asked"]
    await place.turns.finish(OWNER, running.id, status=ResponseStatus.COMPLETED)
    assert await place.texts(conversation) == ["before", "meanwhile", "asked"]


@pytest.mark.parametrize("status", [ResponseStatus.CANCELLED, ResponseStatus.FAILED])
async def test_a_turn_without_an_answer_leaves_the_conversation_as_it_was(place: Place, status: ResponseStatus) -> None:
    conversation = await place.conversation("before")
    await place.answered(conversation, "asked", "half", status)
    assert await place.texts(conversation) == ["before"]
    await place.answered(conversation, "again", "whole")
    assert await place.texts(conversation) == ["before", "again", "whole"]


async def test_one_of_many_parallel_turns_locks_the_conversation(place: Place) -> None:
    conversation = await place.conversation("before")
    turns = [await place.asked(conversation, f"turn {number}") for number in range(10)]
    outcomes = await asyncio.gather(
        *(place.turns.admit(response, (item,), CREATED) for response, item in turns), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(refused) == 9
    assert every(isinstance(each, Invalid) and each.code == "conversation_locked" for each in refused)
    admitted = [response for (response, _), outcome in zip(turns, outcomes, strict=True) if response == outcome]
    assert (await place.conversations.read(OWNER, conversation.id)).running == admitted[0].id


async def test_a_repeated_admission_is_not_rejected_by_its_own_lock(place: Place) -> None:
    conversation = await place.conversation()
    response, item = await place.asked(conversation, "asked")
    await place.turns.admit(response, (item,), CREATED)
    await place.turns.admit(response, (item,), CREATED)
    with pytest.raises(Invalid, match="still running"):
        await place.admitted(conversation, "another")


async def test_a_turn_that_read_an_outdated_history_is_rejected(place: Place) -> None:
    conversation = await place.conversation()
    response, item = await place.asked(conversation, "asked")
    await place.answered(conversation, "first", "one")
    with pytest.raises(Invalid):
        await place.turns.admit(response, (item,), CREATED)


async def test_a_turn_in_another_owners_conversation_is_not_admitted(place: Place) -> None:
    conversation = await place.conversation()
    response, item = await place.asked(conversation, "asked")
    stranger = replace(response, owner=STRANGER)
    with pytest.raises(NotFound):
        await place.turns.admit(stranger, (item,), CREATED)
    with pytest.raises(NotFound):
        await place.turns.read(STRANGER, response.id)


async def test_no_item_is_deleted_while_a_turn_may_be_reading_it(place: Place) -> None:
    conversation = await place.conversation("before")
    page = await place.conversations.items(OWNER, conversation.id)
    await place.admitted(conversation, "asked")
    with pytest.raises(Invalid) as caught:
        await place.conversations.delete_item(OWNER, conversation.id, page.items[0].id)
    assert caught.value.code == "conversation_locked"


async def test_parallel_additions_are_all_kept(place: Place) -> None:
    conversation = await place.conversation()
    response = await place.admitted(conversation, "turn")
    adding = (place.conversations.add(OWNER, conversation.id, [said(str(number))]) for number in range(8))
    await asyncio.gather(*adding, place.turns.finish(OWNER, response.id, status=ResponseStatus.COMPLETED))
    assert sorted(await place.texts(conversation)) == [*"01234567", "turn"]
    assert (await place.conversations.read(OWNER, conversation.id)).running is None


async def test_a_call_and_its_output_keep_their_kinds(place: Place) -> None:
    items = [
        Item(id="", kind=ItemKind.FUNCTION_CALL, name="f", call_id="c", text="{}"),
        Item(id="", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, call_id="c", text="4"),
        Item(id="", kind=ItemKind.REASONING, text="hm"),
    ]
    conversation = await place.conversations.create(OWNER, metadata={}, items=items)
    page = await place.conversations.items(OWNER, conversation.id, order="asc")
    assert [item.id.partition("_")[0] for item in page.items] == ["fc", "fco", "rs"]
    assert [replace(item, id="") for item in page.items] == items


@pytest.mark.parametrize("seed", range(150))
async def test_crashes_and_lost_answers_leave_the_conversation_free_and_each_turn_in_it_once(seed: int) -> None:
    place = Place()
    conversation = await place.conversation("before")
    response, item = await place.asked(conversation, "asked")
    for life in range(60):
        faults = Faults(rate=0.2 if life < 50 else 0.0)
        turns = TurnStore(FlakyStore(place.store, Random(seed * 100 + life), faults), place.clock, WebhookEndpoints())  # noqa: S311 - a seed
        try:
            await turns.admit(response, (item,), CREATED)
            await turns.begin(OWNER, response.id, execution="run")
            await turns.finish(OWNER, response.id, status=ResponseStatus.COMPLETED)
        except (CrashError, GanglionError):
            continue
        break
    assert await place.texts(conversation) == ["before", "asked"]
    assert (await place.conversations.read(OWNER, conversation.id)).running is None
