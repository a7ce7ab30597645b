"""Does a model that knows no functions call them all the same, and only as it may?"""

import json
from typing import Any

import pytest

from domain.content.capabilities import Capability
from domain.content.schema_tool_calls import output_schema, parsed_answer, tool_config_texts, tool_instructions
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
    (ToolConfig(functions=(ADD, WALK), only=("walk",)), CALL, False),
]


@pytest.mark.parametrize(("form", "answer", "allowed"), ALLOWED)
def test_the_schema_allows_what_the_form_allows(form: ToolConfig, answer: Any, allowed: bool) -> None:  # noqa: FBT001 - a table's column
    schema = output_schema(form)
    assert allows(schema, answer) is allowed


def test_definitions_of_two_functions_do_not_meet() -> None:
    other = FunctionTool(name="run", parameters={"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object"}}})
    schema = output_schema(ToolConfig(functions=(WALK, other)))
    assert set(schema["$defs"]) == {"f0_Node", "f1_Node"}
    assert allows(schema, {"calls": [{"name": "walk", "arguments": {"next": {"next": {}}}}]})


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
    told = tool_instructions(ToolConfig(functions=(ADD, WALK), only=("add",)))
    assert '"add"' in told
    assert '"walk"' not in told
    assert tool_config_texts(ToolConfig()) == ()


def test_a_form_says_what_it_needs() -> None:
    assert ToolConfig().needs == frozenset()
    assert BOTH.needs == {Capability.TOOLS}
    assert ToolConfig(functions=(ADD,), tool_choice=ToolChoice.NONE).needs == frozenset()
    assert ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT)).needs == {Capability.JSON_SCHEMA}


def test_a_form_survives_its_document() -> None:
    wanted = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="n", schema={"type": "object"}, strict=True)
    form = ToolConfig(functions=(ADD, WALK), only=("add",), tool_choice=ToolChoice.REQUIRED, single=True, format=wanted)
    assert ToolConfig.from_document(json.loads(json.dumps(form.to_document()))) == form
