"""What does a log of several rounds keep, and which text came last?"""

from typing import Any

from domain.content.items import Item, ItemKind, ItemStatus, Role
from domain.log.transcript import Transcript, items_of_rounds, kept_items, last_message_text


def message(name: str, text: str = "", **more: Any) -> Item:
    return Item(id=name, role=Role.ASSISTANT, text=text or name, **more)


def of_kind(name: str, kind: ItemKind, status: ItemStatus = ItemStatus.COMPLETED) -> Item:
    return Item(id=name, role=Role.ASSISTANT, kind=kind, status=status)


def log(*items: Item) -> Transcript:
    return Transcript(items=items)


CALL = of_kind("mcp", ItemKind.MCP_CALL)
FUNCTION = of_kind("fc", ItemKind.FUNCTION_CALL)
THOUGHT = of_kind("r", ItemKind.REASONING)
CUT = of_kind("cut", ItemKind.REASONING, ItemStatus.INCOMPLETE)


def names(*items: Item) -> list[str]:
    return [item.id for item in kept_items(log(*items))]


def test_the_last_message_of_each_round_is_kept() -> None:
    assert names(message("a"), message("b"), CALL, message("c"), message("d")) == ["b", "mcp", "d"]


def test_cut_reasoning_is_kept_only_at_the_end() -> None:
    assert names(CUT, message("a")) == ["a"]
    assert names(THOUGHT, message("a"), CUT) == ["r", "a", "cut"]


def test_the_last_text_is_the_one_that_came_with_the_last_calls() -> None:
    assert last_message_text(log(message("a", "one"), FUNCTION, CALL)) == "one"
    assert last_message_text(log(message("a", "one"), THOUGHT)) == "one"
    assert last_message_text(log(message("a", "one"), CALL, message("b", "two"))) == "two"
    assert last_message_text(log(FUNCTION)) == ""
    assert last_message_text(log(CALL, of_kind("x", ItemKind.FUNCTION_OUTPUT))) == ""
    assert last_message_text(log()) == ""


def test_the_rounds_before_the_present_one_end_with_their_last_server_call() -> None:
    items = (message("a"), CALL, message("b"), FUNCTION)
    assert [item.id for item in items_of_rounds(log(*items))] == ["a", "mcp"]
    assert items_of_rounds(log(message("a"), FUNCTION)) == ()
