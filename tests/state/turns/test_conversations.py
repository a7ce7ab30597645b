"""Does a conversation keep its order and at most one running turn when many requests change it at once?"""

import asyncio
from collections.abc import Sequence
from copy import replace

import pytest

from domain.content.items import Item, ItemKind, Role
from domain.errors import Invalid, NotFound
from domain.log.events import ResponseStatus
from domain.turns.conversations import Conversation
from tests.fakes.worlds import OWNER
from tests.state.turns.places import STRANGER, Place, said


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
