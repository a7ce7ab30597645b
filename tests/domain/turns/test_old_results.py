"""Are old results of tools left out before old turns, the oldest first, and no more of them than must be?"""

from hypothesis import given
from hypothesis import strategies as st

from api.parsing.responses_request import request_from_openai
from api.turns.history import HistoryWindow
from domain.content.items import Item, ItemKind, Role
from domain.turns.context_window import Turn, WindowRoom
from domain.turns.old_results import LEFT_OUT, results_in, results_to_leave_out, without_results

MEASURE = WindowRoom(tokens=0)
ASKED = request_from_openai({"input": "and now?"})


def call(words: int) -> Item:
    return Item(id="i", kind=ItemKind.MCP_CALL, name="find", server="shop", text="{}", output="word " * words)


def said(words: int) -> Item:
    return Item(id="i", role=Role.USER, text="word " * words)


turns = st.lists(st.builds(call, st.integers(0, 60)) | st.builds(said, st.integers(1, 60)), max_size=4).map(tuple)
pasts = st.lists(turns, max_size=8)


@given(pasts, st.integers(0, 600))
def test_the_turns_fit_or_only_the_last_turn_has_results(past: list[Turn], room: int) -> None:
    count = results_to_leave_out(past, room=WindowRoom(tokens=room))
    read = without_results(past, count)
    assert sum(map(MEASURE.size_of, read)) <= room or results_in(read[:-1]) == 0
    assert read[-1:] == tuple(past[-1:])
    if count:
        assert sum(map(MEASURE.size_of, without_results(past, count - 1))) > room


@given(pasts, st.integers(0, 600))
def test_no_turn_is_left_out_while_an_old_result_is_kept(past: list[Turn], room: int) -> None:
    found = HistoryWindow(turns=past).fit(ASKED, (), room=WindowRoom(tokens=room))
    kept = past[found.left_out :]
    if found.left_out:
        assert found.results_out == results_in(kept[:-1])
    outputs = [item.output for item in found.items if item.kind is ItemKind.MCP_CALL]
    assert outputs.count(LEFT_OUT) == found.results_out


def test_the_oldest_result_goes_first_and_its_call_stays() -> None:
    past = [(said(1), call(50)), (said(2), call(50)), (said(3), call(50))]
    room = sum(map(MEASURE.size_of, past)) + 48
    assert HistoryWindow(turns=past).fit(ASKED, (), room=WindowRoom(tokens=room)).results_out == 0
    room -= 10
    found = HistoryWindow(turns=past).fit(ASKED, (), room=WindowRoom(tokens=room))
    assert (found.left_out, found.results_out) == (0, 1)
    assert [item.output == LEFT_OUT for item in found.items if item.kind is ItemKind.MCP_CALL] == [True, False, False]
