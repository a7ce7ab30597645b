"""Can a model read all of a result that was cut, page by page?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import Item, ItemKind
from domain.content.tools import FunctionTool, ToolConfig
from domain.tools.result_pages import READ_RESULT, RESULT_SERVER, cut_results, longest_page, page, with_result_pages
from domain.tools.results import fits

WHOLE = Item(id="mcp_1", kind=ItemKind.MCP_CALL, name="find", server="shop")
CUT = Item(id="mcp_2", kind=ItemKind.MCP_CALL, name="list", server="shop", whole=9000)
CONFIG = ToolConfig(functions=(FunctionTool(name="find", server="shop"),))


def test_no_page_is_offered_without_a_result_that_was_cut() -> None:
    assert with_result_pages(CONFIG, [WHOLE]) == CONFIG


@pytest.mark.parametrize(
    ("allowed", "after"), [((), ()), (("shop__find",), ("shop__find", "ganglion_results__read_result"))]
)
def test_the_results_that_were_cut_are_listed_and_may_be_read(allowed: tuple[str, ...], after: tuple[str, ...]) -> None:
    found = with_result_pages(ToolConfig(functions=CONFIG.functions, allowed_names=allowed), [WHOLE, CUT, CUT])
    tool = found.functions[-1]
    assert cut_results([WHOLE, CUT]) == (CUT,)
    assert (tool.name, tool.server, found.allowed_names) == (READ_RESULT, RESULT_SERVER, after)
    assert "(1: shop__list, 9000 characters; 2: shop__list, 9000 characters)" in str(tool.description)


@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=600), max_tokens=st.integers(100, 130))
def test_all_pages_together_are_the_result(text: str, max_tokens: int) -> None:
    start, read, pages = 0, "", 0
    while start is not None:
        part = text[start : start + longest_page(max_tokens)]
        shown = page(part, start=start, whole=len(text), max_tokens=max_tokens)
        body: dict[str, Any] = json.loads(shown)
        assert fits(shown, max_tokens)
        assert (body["from"], body["to"], body["of"]) == (start, start + len(body["text"]), len(text))
        read, start, pages = read + body["text"], body.get("next"), pages + 1
        assert pages <= len(text)
    assert read == text


def test_a_page_behind_the_end_is_empty_and_the_last_one() -> None:
    assert json.loads(page("", start=9, whole=9, max_tokens=50)) == {"text": "", "from": 9, "to": 9, "of": 9}


def test_a_page_without_room_still_has_one_character_so_that_the_next_one_is_further() -> None:
    assert json.loads(page("abc", start=0, whole=3, max_tokens=1)) == {
        "text": "a",
        "from": 0,
        "to": 1,
        "of": 3,
        "next": 1,
    }
