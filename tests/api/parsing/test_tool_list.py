"""Which tools does a list offer, and which of its fields is named where one is wrong, in both nestings?"""

from typing import Any

import pytest

from api.parsing.tool_list import CHAT, FUNCTIONS_LIMIT, RESPONSES, ToolList, WireNesting, read_tools
from domain.content.custom_tools import PARAMETERS, CustomInput
from domain.errors import Invalid

type Json = dict[str, Any]


def function(name: str, **more: Any) -> Json:
    return {"type": "function", "name": name, **more}


def rejection(tools: Any, nesting: WireNesting = RESPONSES, **metadata: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read_tools(tools, metadata, nesting)
    return caught.value


def test_an_absent_list_is_an_empty_one() -> None:
    assert read_tools(None, {}, RESPONSES) == read_tools([], {}, CHAT) == ToolList()


def test_a_function_is_nested_in_a_chat_alone() -> None:
    schema: Json = {"type": "object", "properties": {}}
    inner: Json = {"name": "add", "description": "Adds.", "parameters": schema, "strict": True}
    (flat,) = read_tools([{"type": "function", **inner}], {}, RESPONSES).functions
    (nested,) = read_tools([{"type": "function", "function": inner}], {}, CHAT).functions
    assert flat == nested
    assert (flat.name, flat.description, flat.parameters, flat.strict) == ("add", "Adds.", schema, True)


def test_a_grammar_is_read_from_the_format_or_from_its_own_object() -> None:
    rules = {"syntax": "regex", "definition": "[a-z]+"}
    responses = {"type": "custom", "name": "say", "format": {"type": "grammar", **rules}}
    chat = {"type": "custom", "custom": {"name": "say", "format": {"type": "grammar", "grammar": rules}}}
    (one,) = read_tools([responses], {}, RESPONSES).functions
    (other,) = read_tools([chat], {}, CHAT).functions
    assert one == other
    assert (one.custom, one.parameters) == (CustomInput(syntax="regex", grammar="[a-z]+"), PARAMETERS)


@pytest.mark.parametrize("form", [None, {"type": "text"}])
def test_a_custom_tool_takes_any_text_by_default(form: Json | None) -> None:
    (read,) = read_tools([{"type": "custom", "name": "say", "format": form}], {}, RESPONSES).functions
    assert read.custom == CustomInput()


def test_left_out_tools_are_named_once_and_cut() -> None:
    hosted = [{"type": "web_search"}, {"type": "web_search"}, {"type": "computer_use_preview"}]
    read = read_tools([*hosted, function("a"), {"type": "shell" + "x" * 100}], {}, RESPONSES)
    assert [each.name for each in read.functions] == ["a"]
    assert read.ignored == ("tools.web_search", "tools.computer_use_preview", "tools.shell" + "x" * 59)


@pytest.mark.parametrize(
    ("tools", "field", "code"),
    [
        ("a", "tools", "invalid_type"),
        ([None], "tools[0]", "missing_required_parameter"),
        (["a"], "tools[0]", "invalid_type"),
        ([function("a"), {}], "tools[1].type", "unsupported_parameter"),
        ([{"type": ["function"]}], "tools[0].type", "unsupported_parameter"),
        ([{"type": "my_web_search"}], "tools[0].type", "unsupported_parameter"),
        ([function("a" * 129)], "tools[0].name", "invalid_value"),
        ([function("a", strict="yes")], "tools[0].strict", "invalid_type"),
        ([function("a", parameters=[])], "tools[0].parameters", "invalid_type"),
        (
            [{"type": "custom", "name": "a", "format": {"type": "grammar", "definition": "x"}}],
            "tools[0].format.syntax",
            "missing_required_parameter",
        ),
        (
            [{"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "a b"}]}],
            "tools[0].tools[0].name",
            "invalid_value",
        ),
        ([{"type": "namespace", "name": "n", "tools": [None]}], "tools[0].tools[0]", "missing_required_parameter"),
        (
            [{"type": "file_search", "vector_store_ids": ["a"]}, {"type": "file_search", "vector_store_ids": ["b"]}],
            "tools[1]",
            "invalid_value",
        ),
    ],
)
def test_a_wrong_tool_is_named(tools: Any, field: str, code: str) -> None:
    error = rejection(tools)
    assert (error.field, error.code) == (field, code)


@pytest.mark.parametrize(
    ("tool", "field", "code"),
    [
        ({"type": "function", "function": []}, "tools[0].function", "invalid_type"),
        ({"type": "function", "function": {}}, "tools[0].function.name", "missing_required_parameter"),
        ({"type": "custom"}, "tools[0].custom", "missing_required_parameter"),
        (
            {"type": "custom", "custom": {"name": "a", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}},
            "tools[0].custom.format.grammar.definition",
            "missing_required_parameter",
        ),
        ({"type": "namespace", "name": "n"}, "tools[0].type", "unsupported_parameter"),
        ({"type": "mcp", "server_label": "shop"}, "tools[0].type", "unsupported_parameter"),
        ({"type": "file_search", "vector_store_ids": ["a"]}, "tools[0].type", "unsupported_parameter"),
    ],
)
def test_a_wrong_tool_of_a_chat_is_named(tool: Json, field: str, code: str) -> None:
    error = rejection([tool], CHAT)
    assert (error.field, error.code) == (field, code)


def test_a_list_has_a_limit_that_counts_the_tools_of_namespaces() -> None:
    most = [function(f"f{number}") for number in range(FUNCTIONS_LIMIT)]
    assert len(read_tools(most, {}, RESPONSES).functions) == FUNCTIONS_LIMIT
    group = {"type": "namespace", "name": "n", "tools": [function("f0")]}
    error = rejection([*most, group])
    assert (error.field, str(error)) == ("tools", "Invalid 'tools': expected at most 128 tools, but got 129.")


def test_a_tool_that_is_left_out_is_refused_where_the_caller_says_so_at_its_first_place() -> None:
    tools = [function("a"), {"type": "shell"}, {"type": "web_search"}]
    error = rejection(tools, unsupported_tools="reject")
    assert (error.field, error.code) == ("tools[1].type", "unsupported_parameter")
    assert read_tools(tools[:1], {"unsupported_tools": "reject"}, RESPONSES).left_out == ()
