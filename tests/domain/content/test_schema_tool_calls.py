"""Does a model that knows no functions call them all the same, and only as it may?"""

import json
from typing import Any

import pytest

from domain.content.capabilities import Capability
from domain.content.items import Item, ItemKind, Role
from domain.content.schema_tool_calls import (
    is_held_to_output_schema,
    output_schema,
    parsed_answer,
    tool_config_texts,
    tool_instructions,
)
from domain.content.tools import FunctionCall, FunctionTool, OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from tests.domain.content.schemas import allows

ADD = FunctionTool(
    name="add",
    description="adds",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
)
NEXT: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
WALK = FunctionTool(name="walk", parameters={"$ref": "#/$defs/Node", "$defs": {"Node": NEXT}})
BOTH = ToolConfig(functions=(ADD, WALK))

CALL: dict[str, Any] = {"calls": [{"name": "add", "arguments": {"a": 1}}]}
TWO: dict[str, Any] = {"calls": [*CALL["calls"], {"name": "walk", "arguments": {"next": {}}}]}

ALLOWED: list[tuple[ToolConfig, Any, bool]] = [
    (BOTH, {"answer": "hi"}, True),
    (BOTH, CALL, True),
    (BOTH, TWO, True),
    (BOTH, {"calls": []}, False),
    (BOTH, {"calls": [{"name": "add", "arguments": {}}]}, False),
    (BOTH, {"calls": [{"name": "steal", "arguments": {}}]}, False),
    (BOTH, {"answer": "hi", "calls": []}, False),
    (ToolConfig(functions=(ADD,), tool_choice=ToolChoice.REQUIRED), {"answer": "hi"}, False),
    (ToolConfig(functions=(ADD,), tool_choice=ToolChoice.REQUIRED), CALL, True),
    (ToolConfig(functions=(ADD, WALK), parallel=False), TWO, False),
    (ToolConfig(functions=(ADD, WALK), allowed_names=("walk",)), CALL, False),
    (ToolConfig(functions=(ADD,), tool_choice=ToolChoice.NONE), CALL, False),
    (ToolConfig(functions=(ADD,), tool_choice=ToolChoice.NONE), {"answer": "hi"}, True),
    (ToolConfig(), CALL, False),
    (ToolConfig(), {"answer": "hi"}, True),
    (ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT)), {"answer": {"n": 1}}, True),
    (ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT)), {"answer": "hi"}, False),
    (ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT)), CALL, False),
]

ASKED = Item(id="1", role=Role.USER, text="hi")
CALLED = Item(id="2", kind=ItemKind.FUNCTION_CALL, name="add", call_id="c", text='{"a": 1}')
RESULT = Item(id="3", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, call_id="c", text="2")
OWN_FORMAT = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="n", schema={"type": "object"})

HELD: list[tuple[ToolConfig, tuple[Item, ...], bool]] = [
    (ToolConfig(), (ASKED,), False),
    (ToolConfig(), (ASKED, CALLED, RESULT), True),
    (ToolConfig(format=OWN_FORMAT), (ASKED, CALLED, RESULT), False),
    (ToolConfig(functions=(ADD,), tool_choice=ToolChoice.NONE), (ASKED,), False),
    (ToolConfig(functions=(ADD,), tool_choice=ToolChoice.NONE), (ASKED, CALLED, RESULT), True),
    (ToolConfig(functions=(ADD,)), (ASKED,), True),
]


@pytest.mark.parametrize(("form", "items", "held"), HELD)
def test_an_output_is_held_where_it_may_call_or_its_prompt_shows_calls(
    form: ToolConfig,
    items: tuple[Item, ...],
    held: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert is_held_to_output_schema(form, items) is held


@pytest.mark.parametrize(("form", "answer", "allowed"), ALLOWED)
def test_the_schema_allows_what_the_form_allows(form: ToolConfig, answer: Any, allowed: bool) -> None:  # noqa: FBT001 - a table's column
    schema = output_schema(form)
    assert allows(schema, answer) is allowed


def test_definitions_of_two_functions_do_not_meet() -> None:
    other = FunctionTool(name="run", parameters={"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object"}}})
    schema = output_schema(ToolConfig(functions=(WALK, other)))
    assert set(schema["$defs"]) == {"f0", "f1"}
    assert allows(schema, {"calls": [{"name": "walk", "arguments": {"next": {"next": {}}}}]})


XY: dict[str, Any] = {"x": {"type": "string", "enum": ["p", "q"]}, "y": {"$ref": "#/properties/x"}}
OWN: dict[str, Any] = {"type": "object", "properties": XY, "required": ["x", "y"], "additionalProperties": False}
TREE: dict[str, Any] = {
    "type": "object",
    "properties": {"leaf": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["leaf"],
}
NAMED: dict[str, Any] = {
    "$id": "https://example.com/pair.json",
    "type": "object",
    "properties": {"left": {"type": "integer"}, "right": {"$ref": "https://example.com/pair.json#/properties/left"}},
    "required": ["left", "right"],
}
CHAIN: dict[str, Any] = {
    "type": "object",
    "properties": {"first": {"$ref": "#/definitions/a"}},
    "required": ["first"],
    "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"type": "integer"}},
}
REFERENCES: list[tuple[dict[str, Any], Any, bool]] = [
    (OWN, {"x": "p", "y": "q"}, True),
    (OWN, {"x": "p", "y": 1}, False),
    (TREE, {"leaf": "a", "children": [{"leaf": "b", "children": []}]}, True),
    (TREE, {"leaf": "a", "children": [{"children": []}]}, False),
    (NAMED, {"left": 1, "right": 2}, True),
    (NAMED, {"left": 1, "right": "2"}, False),
    (CHAIN, {"first": 1}, True),
    (CHAIN, {"first": "1"}, False),
]


@pytest.mark.parametrize(("parameters", "arguments", "allowed"), REFERENCES)
def test_references_of_a_schema_to_itself_survive_nesting(
    parameters: dict[str, Any],
    arguments: Any,
    allowed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    others = (FunctionTool(name="other", parameters=TREE), FunctionTool(name="f", parameters=parameters))
    schema = output_schema(ToolConfig(functions=others, tool_choice=ToolChoice.REQUIRED))
    assert allows(schema, {"calls": [{"name": "f", "arguments": arguments}]}) is allowed


@pytest.mark.parametrize(("own", "answer", "allowed"), REFERENCES)
def test_references_of_the_format_survive_nesting(
    own: dict[str, Any],
    answer: Any,
    allowed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    wanted = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="n", schema=own)
    assert allows(output_schema(ToolConfig(functions=(ADD,), format=wanted)), {"answer": answer}) is allowed


def test_words_that_only_look_like_references_stay_as_they_are() -> None:
    odd = {"properties": {"$ref": {"const": {"$ref": "#"}}, "enum": {"enum": [{"$ref": "#/a"}]}}}
    schema = output_schema(ToolConfig(functions=(FunctionTool(name="odd", parameters=odd),)))
    assert "$defs" not in schema
    assert json.dumps(odd) in json.dumps(schema)


def test_an_answer_beside_functions_may_have_a_schema_of_its_own() -> None:
    wanted = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="n", schema={"type": "object", "required": ["n"]})
    form = ToolConfig(functions=(ADD,), format=wanted)
    assert allows(output_schema(form), {"answer": {"n": 1}})
    assert not allows(output_schema(form), {"answer": {}})
    said = parsed_answer('{"answer": {"n": 1}}', form)
    assert said
    assert json.loads(said.text) == {"n": 1}


def test_calls_are_read_in_their_order() -> None:
    said = parsed_answer(json.dumps(TWO), BOTH)
    assert said
    assert said.calls == (
        FunctionCall(name="add", arguments='{"a": 1}'),
        FunctionCall(name="walk", arguments='{"next": {}}'),
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"calls": [1]}', '{"calls": [{"name": "steal", "arguments": {}}]}']
)
def test_what_is_not_of_the_form_is_nothing(text: str) -> None:
    assert parsed_answer(text, BOTH) is None


def test_an_answer_where_a_call_is_required_is_nothing() -> None:
    assert parsed_answer('{"answer": "no"}', ToolConfig(functions=(ADD,), tool_choice=ToolChoice.REQUIRED)) is None


def test_the_instructions_tell_every_function_that_may_be_called() -> None:
    told = tool_instructions(ToolConfig(functions=(ADD, WALK), allowed_names=("add",)))
    assert '"add"' in told
    assert '"walk"' not in told
    assert tool_config_texts(ToolConfig()) == ()


def test_a_form_says_what_it_needs() -> None:
    assert ToolConfig().required_capabilities == frozenset()
    assert BOTH.required_capabilities == {Capability.TOOLS}
    assert ToolConfig(functions=(ADD,), tool_choice=ToolChoice.NONE).required_capabilities == frozenset()
    assert ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT)).required_capabilities == {
        Capability.JSON_SCHEMA
    }


def test_a_form_survives_its_document() -> None:
    wanted = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="n", schema={"type": "object"}, strict=True)
    form = ToolConfig(
        functions=(ADD, WALK),
        allowed_names=("add",),
        tool_choice=ToolChoice.REQUIRED,
        must_call_one=True,
        format=wanted,
    )
    assert ToolConfig.from_document(json.loads(json.dumps(form.to_document()))) == form
