"""When does a call only repeat what is known, and which rounds had wrong calls?"""

from copy import replace

import pytest

from domain.content.items import Item, ItemKind
from domain.tools.outcomes import INVALID_PARAMS, REPEATED
from domain.tools.repeats import is_known_by_now, rounds_with_invalid_calls

CALL = Item(id="mcp_1", kind=ItemKind.MCP_CALL, name="find", server="shop", text='{"a": 1, "b": 2}', output="found")


def made(number: int, **changes: object) -> Item:
    return replace(CALL, round=number, **changes)


@pytest.mark.parametrize(
    ("earlier", "known"),
    [
        ((), False),
        ((made(1),), False),
        ((made(1), made(2)), True),
        ((made(1), made(1)), True),
        ((made(1, text='{"b":2,"a":1}'), made(2)), True),
        ((made(1), made(2, output="changed")), False),
        ((made(1), made(2, output="changed"), made(2, output="changed")), True),
        ((made(1), made(2, error={"code": 1})), False),
        ((made(1), made(2, text="{}")), False),
        ((made(1), made(2, name="list")), False),
        ((made(1), made(2, server="web")), False),
        ((made(1), made(2, kind=ItemKind.FUNCTION_CALL)), False),
        ((made(1), made(3)), False),
        ((made(1), made(2, error={"content": REPEATED}, output=None)), False),
        ((made(1, text="no JSON"), made(2, text="no JSON")), False),
    ],
)
def test_the_last_two_equal_calls_of_earlier_rounds_decide(earlier: tuple[Item, ...], *, known: bool) -> None:
    assert is_known_by_now(made(3), earlier) is known


def test_a_refused_call_stays_known() -> None:
    refused = made(3, error={"content": REPEATED}, output=None)
    assert is_known_by_now(made(4), [made(1), made(2), refused])


def test_arguments_that_are_no_json_are_compared_as_text() -> None:
    odd = [made(1, text="no JSON"), made(2, text="no JSON")]
    assert is_known_by_now(made(3, text="no JSON"), odd)
    assert not is_known_by_now(made(3, text="no  JSON"), odd)


def test_rounds_with_invalid_calls_are_counted_once() -> None:
    wrong = {"code": INVALID_PARAMS}
    items = [made(1, error=wrong), made(1, error=wrong), made(2, error={"code": 500}), made(3, error=wrong), made(4)]
    assert rounds_with_invalid_calls(items) == 2
