"""Which response may run in a conversation, and what is known of its entries?"""

from copy import replace

import pytest

from domain.content.items import ItemKind
from domain.identity.owners import Owner
from domain.turns.conversations import PREFIXES, Conversation, Order, after_cursor

EMPTY = Conversation(id="conv_1", owner=Owner(tenant="t", subject="user:1"), created_at=5.0)


def test_one_response_at_a_time_has_the_lock() -> None:
    locked = EMPTY.locked("a")
    assert (EMPTY.is_free_for("a"), locked.is_free_for("a"), locked.is_free_for("b")) == (True, False, False)
    assert locked.released() == EMPTY


def test_those_that_wait_are_let_in_in_their_order() -> None:
    line = EMPTY.with_waiting("a").with_waiting("b")
    assert (line.is_free_for("a"), line.is_free_for("b"), line.is_free_for("c")) == (True, False, False)
    begun = line.locked("a")
    assert (begun.running, begun.waiting) == ("a", ("b",))
    assert line.without_waiting("a").is_free_for("b")
    assert line.without_waiting("c") == line


def test_what_was_tainted_stays_so() -> None:
    assert EMPTY.tainted(by=True).tainted(by=False).is_tainted
    assert not EMPTY.tainted(by=False).is_tainted


def test_lasting_items_are_known_only_where_all_entries_say_them() -> None:
    two = EMPTY.with_new_entry(("m1",)).with_new_entry(("m2",))
    assert (two.next_entry, two.lasting) == (2, ("m1", "m2"))
    assert two.with_new_entry(None).lasting is None
    assert replace(EMPTY, lasting=None).with_new_entry(("m1",)).lasting is None


@pytest.mark.parametrize(
    ("after", "order", "left"),
    [
        ("", "asc", ["a", "b", "c"]),
        ("", "desc", ["c", "b", "a"]),
        ("b", "asc", ["c"]),
        ("b", "desc", ["a"]),
        ("c", "asc", []),
        ("x", "asc", None),
    ],
)
def test_a_cursor_is_behind_its_item(after: str, order: Order, left: list[str] | None) -> None:
    assert after_cursor(["a", "b", "c"], after=after, order=order) == left


def test_each_kind_of_item_has_a_prefix_of_its_own() -> None:
    assert PREFIXES.keys() == set(ItemKind)
    assert len(set(PREFIXES.values())) == len(PREFIXES)


@pytest.mark.parametrize(
    "conversation",
    [
        EMPTY,
        EMPTY.locked("a").with_waiting("b").tainted(by=True).with_metadata({"k": "v"}),
        replace(EMPTY, lasting=None),
    ],
)
def test_a_conversation_is_read_as_it_was_written(conversation: Conversation) -> None:
    assert Conversation.from_document(conversation.id, conversation.to_document()) == conversation
