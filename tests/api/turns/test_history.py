"""Which calls and results of a history have to be pairs, and where does a new turn stand in it?"""

from typing import Any

import pytest

from api.parsing.responses_request import request_from_openai
from api.turns.history import HistoryWindow, call_path, has_deleted_call, index_after, placeholder
from domain.content.items import Item, ItemKind, Role
from domain.errors import Invalid
from domain.turns.history_index import BLOCK, HistoryIndex
from domain.turns.response import ResponseHistory
from tests.fakes.worlds import OWNER

REQUEST = request_from_openai({"input": "hi"})


def call(name: str) -> Item:
    return Item(id=f"fc_{name}", kind=ItemKind.FUNCTION_CALL, call_id=name)


def result(name: str) -> Item:
    return Item(id=f"fco_{name}", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, call_id=name)


def test_a_call_without_its_result_is_named_by_its_id() -> None:
    window = HistoryWindow(turns=[(call("a"), call("b"))])
    window.check_calls(REQUEST, [result("a"), result("b")])
    with pytest.raises(Invalid, match="for function call 'b'") as caught:
        window.check_calls(REQUEST, [result("a")])
    assert (caught.value.field, caught.value.code) == ("input", "invalid_value")


def test_a_result_without_its_call_is_named_by_its_place() -> None:
    with pytest.raises(Invalid, match="call_id 'x'") as caught:
        HistoryWindow(turns=[(call("a"),)]).check_calls(REQUEST, [result("a"), result("x")])
    assert caught.value.field == "input[1].call_id"


def test_a_result_may_belong_to_a_turn_that_was_not_read() -> None:
    HistoryWindow(older=1).check_calls(REQUEST, [result("x")])


@pytest.mark.parametrize(("field", "path"), [("input", "input[2].call_id"), ("messages", "messages")])
def test_an_item_of_a_chat_has_no_place_of_its_own(field: str, path: str) -> None:
    assert call_path(field, 2) == path


def test_a_deleted_call_of_a_server_is_noticed_and_other_deleted_items_are_not() -> None:
    block = [["msg_1", "mcp_1"], ["fc_1"]]
    assert has_deleted_call(block, {"msg_1", "fc_1"})
    assert not has_deleted_call(block, {"mcp_1"})


def turn(index: HistoryIndex | None, **history: Any) -> Any:
    return placeholder(OWNER, "resp_x", ResponseHistory(index=index, **history), is_tainted=False)


@pytest.mark.parametrize(
    ("depth", "anchor"), [(0, "resp_x"), (1, "resp_old"), (BLOCK - 1, "resp_old"), (BLOCK, "resp_x")]
)
def test_every_block_begins_with_an_anchor_of_its_own(depth: int, anchor: str) -> None:
    before = HistoryIndex(depth=depth, anchor="resp_old", lasting=("msg_1",))
    assert index_after(turn(before)) == HistoryIndex(depth=depth + 1, anchor=anchor, lasting=("msg_1",))


def test_a_turn_of_a_conversation_begins_a_block_and_an_old_history_has_no_index() -> None:
    after = index_after(turn(HistoryIndex(depth=5, anchor="resp_old"), conversation="conv_1"))
    assert after == HistoryIndex(depth=6, anchor="resp_x")
    assert index_after(turn(None)) is None


def test_a_new_turn_adds_its_own_lasting_messages_to_the_index() -> None:
    rule = Item(id="msg_2", role=Role.SYSTEM, text="be brief")
    window = HistoryWindow(index=HistoryIndex(depth=1, lasting=("msg_1",)))
    assert window.index_with([rule, call("a")]) == HistoryIndex(depth=1, lasting=("msg_1", "msg_2"))
    assert HistoryWindow().index_with([rule]) is None
