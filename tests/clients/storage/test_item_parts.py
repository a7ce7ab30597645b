"""Is an item of any size stored in parts, read again, and deleted with them?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.storage.item_parts import item_creates
from clients.storage.port import BYTES_LIMIT
from clients.storage.validation import encoded
from domain.content.items import ImageInput, Item, Role
from domain.turns.webhook_events import WebhookEndpoints
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from tests.checks import every
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

TEXTS = ["é" * 900_000, '"' * 900_000, "\x00" * 900_000, "\U0001f642" * 400_000, "x" * 3_000_000]


def large(text: str = "x" * 1_200_000) -> Item:
    return Item(id="", role=Role.USER, text=text, images=(ImageInput(url="data:image/png;base64," + "A" * 2_000_000),))


@pytest.mark.parametrize("text", TEXTS)
def test_every_part_fits_into_a_document(text: str) -> None:
    *parts, head = item_creates(large(text))
    assert head.body["parts"] == len(parts)
    assert every(len(encoded(each.id, each.body)) < BYTES_LIMIT for each in (*parts, head))


@pytest.mark.parametrize("text", [*TEXTS, "short", "x" * 120_000 + "\n"])
def test_what_was_written_beforehand_is_what_the_store_would_write(text: str) -> None:
    creates = [*item_creates(large(text)), *item_creates(Item(id="msg_1", text=text))]
    assert every(each.data == encoded(each.id, each.body) for each in creates)


@given(st.text(max_size=2000))
def test_a_small_item_is_one_document(text: str) -> None:
    (create,) = item_creates(Item(id="msg_1", text=text))
    assert Item.from_document("msg_1", create.body).text == text


async def test_a_large_item_of_a_conversation_is_read_and_deleted_whole() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    turns = TurnStore(store, clock, WebhookEndpoints())
    talk = await turns.conversations.create(OWNER, metadata={}, items=[large()])
    (added,) = await turns.conversations.add(OWNER, talk.id, [large("y" * 900_000)])
    page = await turns.conversations.items(OWNER, talk.id, order="asc")
    assert [item.text[:1] for item in page.items] == ["x", "y"]
    assert page.items[1] == added
    assert await turns.conversations.item(OWNER, talk.id, added.id) == added
    for item in page.items:
        await turns.conversations.delete_item(OWNER, talk.id, item.id)
    assert not any("part" in kind for kind in kinds(store))
    await Retention(store, turns, clock).delete_conversation(OWNER, talk.id)


def kinds(store: MemoryStore) -> set[str]:
    return {row.document.body["kind"] for rows in store.partitions.values() for row in rows.values()}
