"""How does a model read the calls that the server ran, and those that were not approved?"""

import json
from collections.abc import Sequence
from copy import replace

import pytest

from domain.content.items import Item, ItemKind
from domain.content.server_calls import marked, readable_items, structured

CALL = Item(id="mcp_1", kind=ItemKind.MCP_CALL, name="find", server="shop", call_id="c1", text="{}", round=1)
FOUND = replace(CALL, output='{"n": 1}')
REQUEST = replace(CALL, id="mcpr_1", kind=ItemKind.APPROVAL_REQUEST, name="pay", call_id="c2")
ANSWER = Item(id="mcpa_1", kind=ItemKind.APPROVAL_RESPONSE, approval="mcpr_1")


def read(*items: Item) -> Sequence[Item]:
    return tuple(readable_items(items))


def said(item: Item) -> object:
    """Return the line between the marks of an output."""
    return json.loads(item.text.splitlines()[1])


def test_a_call_becomes_a_function_call_with_its_output() -> None:
    call, output = read(FOUND)
    assert (call.kind, call.name, call.server, call.output) == (ItemKind.FUNCTION_CALL, "shop__find", "", None)
    assert (output.kind, output.call_id, said(output)) == (ItemKind.FUNCTION_OUTPUT, "c1", {"n": 1})


def test_outputs_follow_all_calls_that_were_made_together() -> None:
    other = replace(FOUND, call_id="c3")
    own = Item(id="fc_1", kind=ItemKind.FUNCTION_CALL, name="own", call_id="c4", round=1)
    later = replace(FOUND, call_id="c5", round=2)
    found = read(FOUND, own, other, later)
    assert [each.call_id for each in found] == ["c1", "c4", "c3", "c1", "c3", "c5", "c5"]


def test_lists_of_tools_and_answers_to_requests_are_not_read() -> None:
    message = Item(id="msg_1")
    assert read(Item(id="mcpl_1", kind=ItemKind.MCP_TOOLS), message, ANSWER) == (message,)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ((), "Error: This call was not run: it needs an approval, and nobody has answered."),
        ((replace(ANSWER, text="Too dear."),), "Error: This call was not run: it was denied. Too dear."),
        ((ANSWER,), "Error: This call was not run: it was denied."),
        ((replace(ANSWER, approves=True),), "Error: This call was approved, but it has not been run."),
    ],
)
def test_a_request_that_was_not_run_says_why(answers: tuple[Item, ...], told: str) -> None:
    call, output = read(REQUEST, *answers)
    assert (call.name, said(output)) == ("shop__pay", told)


def test_a_request_that_was_run_is_its_call_alone() -> None:
    run = replace(FOUND, name="pay", approval="mcpr_1")
    assert [each.name for each in read(REQUEST, replace(ANSWER, approves=True), run)] == ["shop__pay", ""]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (replace(CALL, error={"message": "m", "content": "c"}), "Error: m"),
        (replace(CALL, error={"content": "c"}), "Error: c"),
        (CALL, "Error: there is no result."),
        (replace(CALL, output=""), ""),
    ],
)
def test_a_call_without_an_output_says_why(item: Item, told: str) -> None:
    assert said(read(item)[1]) == told


@pytest.mark.parametrize("text", ["plain", "5", '"text"', "null", "[" * 100_000])
def test_only_objects_and_lists_are_structured(text: str) -> None:
    assert structured(text) == text
    assert structured("[1]") == [1]


def test_no_result_can_close_its_marks() -> None:
    closing = marked("", "c1").splitlines()[-1]
    assert len(marked(f"a\n{closing}\nb", "c1").splitlines()) == 3
    assert marked("", "c1").splitlines()[-1] != marked("", "c2").splitlines()[-1]
