"""Are the rights and limits of a tool read, and is every one that would promise too much named?"""

from decimal import Decimal
from typing import Any

import pytest

from domain.config.toml_table import TomlTable
from domain.config.tool_rows.common import read_common
from domain.tools.catalog import IdempotencyKey, KeyPlace, ServerTool, ToolApproval, ToolEffect


def tool_of(name: str = "find", **values: Any) -> tuple[ServerTool, list[str]]:
    table = TomlTable("tools.find", values, [])
    return read_common(name, table), table.problems


def test_a_read_needs_no_approval_and_a_write_does() -> None:
    assert tool_of(effect="read") == (ServerTool(name="find"), [])
    write, problems = tool_of(effect="write")
    assert (write.approval, write.tries, problems) == (ToolApproval.ALWAYS, 1, [])
    assert tool_of(effect="write", approval="never")[0].approval is ToolApproval.NEVER


def test_the_effect_must_be_said() -> None:
    assert tool_of()[1] == ["tools.find.effect: expected one of read, write, found nothing"]


def test_limits_are_read() -> None:
    found, problems = tool_of(effect="read", tries=5, timeout_s=2, max_result_tokens=50, price="0.01", cache_s=3600)
    assert problems == []
    assert (found.tries, found.timeout_s, found.max_result_tokens) == (5, 2.0, 50)
    assert (found.worst_cost, found.cache_s) == (Decimal("0.05"), 3600.0)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("none", None),
        ("header:Idempotency-Key", IdempotencyKey(place=KeyPlace.HEADER, name="Idempotency-Key")),
        ("argument:request_id", IdempotencyKey(place=KeyPlace.ARGUMENT, name="request_id")),
        ("argument:host", IdempotencyKey(place=KeyPlace.ARGUMENT, name="host")),
    ],
)
def test_a_write_with_a_key_may_be_repeated(text: str, key: IdempotencyKey | None) -> None:
    found, problems = tool_of(effect="write", idempotency=text, tries=2)
    assert (found.key, found.effect) == (key, ToolEffect.WRITE)
    assert problems == ([] if key else ["tools.find.tries: expected 1 for a write without an idempotency key, found 2"])


@pytest.mark.parametrize(
    "text", ["header", "header:", "header:my_key", "cookie:a", "argument:1a", "argument:a b", ":a"]
)
def test_what_is_no_key_is_named(text: str) -> None:
    found, problems = tool_of(effect="write", idempotency=text)
    assert found.key is None
    expected = "expected none, header:<name> or argument:<name>"
    assert problems == [f"tools.find.idempotency: {expected}, found {text!r}"]


def test_a_header_that_the_client_sets_itself_is_no_key() -> None:
    found, problems = tool_of(effect="write", idempotency="header:Host")
    expected = "a header that the client does not set itself"
    others = "(not host, content-length, content-type, connection, transfer-encoding)"
    assert found.key is None
    assert problems == [f"tools.find.idempotency: expected {expected} {others}, found 'header:Host'"]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"tries": 6}, "tools.find.tries: expected a whole number from 1 to 5, found 6"),
        ({"cache_s": 3601}, "tools.find.cache_s: expected at most 3600 seconds, found 3601"),
        (
            {"effect": "write", "cache_s": 1},
            "tools.find.cache_s: expected 0 for a write: its result is never used again, found 1",
        ),
    ],
)
def test_a_limit_that_cannot_hold_is_named(values: dict[str, Any], problem: str) -> None:
    assert tool_of(**({"effect": "read"} | values))[1] == [problem]


@pytest.mark.parametrize("name", ["", "1a", "a b", "a/b", "a" * 129])
def test_a_tool_has_a_plain_name(name: str) -> None:
    (problem,) = tool_of(name, effect="read")[1]
    assert problem.startswith("tools.find: expected a name of letters, digits, _, - and .")
