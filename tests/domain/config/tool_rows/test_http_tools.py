"""Is a tool of an HTTP server read whole, and is every mistake in its request named?"""

from typing import Any

import pytest

from domain.config.toml_table import TomlTable
from domain.config.tool_rows.http_tools import read_http_tool
from domain.tools.catalog import ArgumentPlace, HttpMethod, ServerTool, ToolArgument

GET: dict[str, Any] = {"effect": "read", "method": "GET", "description": "Finds.", "path": "/orders"}
NUMBER: dict[str, Any] = {"number": {"in": "path"}}


def tool_of(**values: Any) -> tuple[ServerTool, list[str]]:
    table = TomlTable("find", GET | values, [])
    return read_http_tool("find", table), table.problems


def test_a_tool_is_read_with_its_arguments() -> None:
    arguments = {**NUMBER, "kind": {"schema": {"type": "integer"}, "required": False}}
    found, problems = tool_of(path="/orders/{number}/lines", arguments=arguments, answer=["data"], fields=["id"])
    assert problems == []
    assert (found.path, found.answer, found.fields) == ("/orders/{number}/lines", ("data",), ("id",))
    assert found.arguments == (
        ToolArgument(name="number", place=ArgumentPlace.PATH, schema={"type": "string"}),
        ToolArgument(name="kind", place=ArgumentPlace.QUERY, schema={"type": "integer"}, required=False),
    )


@pytest.mark.parametrize(("method", "place"), [(each, ArgumentPlace.BODY) for each in HttpMethod if each.has_body])
def test_an_argument_is_usually_in_the_body_of_a_method_that_has_one(method: HttpMethod, place: ArgumentPlace) -> None:
    assert tool_of(method=method.value, arguments={"a": {}})[0].arguments[0].place is place
    assert tool_of(method="DELETE", arguments={"a": {}})[0].arguments[0].place is ArgumentPlace.QUERY


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"path": "orders"}, "find.path: expected a path of plain segments and arguments in braces"),
        ({"path": "/a/../b"}, "find.path: expected a path of plain segments and arguments in braces"),
        ({"path": "/a?b"}, "find.path: expected a path of plain segments and arguments in braces"),
        ({"path": "/orders/{number}"}, 'find.path: expected each argument with in = "path" once, in braces'),
        ({"arguments": NUMBER}, 'find.path: expected each argument with in = "path" once, in braces'),
        (
            {"path": "/{number}/{number}", "arguments": NUMBER},
            'find.path: expected each argument with in = "path" once, in braces',
        ),
        (
            {"path": "/{number}", "arguments": {"number": {"in": "path", "required": False}}},
            "find.arguments.number.required: expected true in a path, found False",
        ),
        (
            {"arguments": {"a": {"in": "body"}}},
            "find.arguments.a.in: expected path or query, for GET has no body, found 'body'",
        ),
        ({"arguments": {"1a": {}}}, "find.arguments.1a: expected a name of letters, digits, _ and -"),
        ({"arguments": {"a": {"schema": {"type": "x"}}}}, "find.arguments.a.schema.type: expected one of "),
        ({"arguments": {"a": {"odd": 1}}}, "find.arguments.a.odd: expected one of the fields in, required, schema"),
        ({"effect": "write"}, "find.method: expected another method than GET for a write, found 'GET'"),
        (
            {"idempotency": "argument:a", "arguments": {"a": {}}},
            "find.idempotency: expected an argument that the model does not give, found 'argument:a'",
        ),
        ({"odd": 1}, "find.odd: expected one of the fields "),
    ],
)
def test_a_mistake_is_named_with_its_field(values: dict[str, Any], problem: str) -> None:
    (found,) = tool_of(**values)[1]
    assert found.startswith(problem)
