"""How does a model call functions that can only be held to a JSON schema?

Its answer is one JSON object: `{"calls": [{"name": …, "arguments": {…}}]}`, or `{"answer": …}` where it may answer.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.content.tools import ANYTHING, FunctionCall, FunctionTool, OutputFormatKind, ToolChoice, ToolConfig

MOST_CALLS: Final = 8
IMAGE: Final = "x" * 4096
"""Stands for an image where sizes are estimated: about 1,000 tokens expected, 4,096 at most."""
DEFINITIONS: Final = ("$defs", "definitions")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAnswer:
    """What an answer comes to: a text, or calls."""

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()


def schema_of(form: ToolConfig) -> dict[str, Any]:
    """Return the schema of the answers that a form allows; the definitions of each function keep to themselves."""
    definitions: dict[str, Any] = {}
    calls = [call_schema(each, f"f{index}_", definitions) for index, each in enumerate(form.callable)]
    most = MOST_CALLS if form.parallel else 1
    several = {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": most}
    called = whole_object(calls=several)
    if form.tool_choice is not ToolChoice.REQUIRED:
        answer = hoisted(answer_schema(form), "answer_", definitions)
        called = {"anyOf": [whole_object(answer=answer), called]}
    return called | ({"$defs": definitions} if definitions else {})


def answer_schema(form: ToolConfig) -> Mapping[str, Any]:
    if form.format.kind is OutputFormatKind.TEXT:
        return {"type": "string"}
    return form.format.schema or {"type": "object"}


def call_schema(function: FunctionTool, prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    arguments = hoisted(function.parameters or ANYTHING, prefix, definitions)
    return whole_object(name={"const": function.name}, arguments=arguments)


def whole_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def hoisted(schema: Mapping[str, Any], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a schema fit to stand inside another: its definitions go to the root's, under names of their own."""
    for word in DEFINITIONS:
        for name, each in dict(schema.get(word) or {}).items():
            definitions[prefix + name] = renamed(each, prefix)
    return renamed({name: each for name, each in schema.items() if name not in DEFINITIONS}, prefix)


def renamed(value: Any, prefix: str) -> Any:
    """Return part of a schema whose references name the definitions as they stand in the root."""
    match value:
        case {"$ref": str(reference), **rest} if reference.rpartition("/")[0] in ("#/$defs", "#/definitions"):
            return {"$ref": f"#/$defs/{prefix}{reference.rpartition('/')[2]}", **renamed(rest, prefix)}
        case dict():
            return {name: renamed(each, prefix) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
        case list():
            return [renamed(each, prefix) for each in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        case _:
            return value


def instructions_of(form: ToolConfig) -> str:
    """Return what the model is told about the functions and the form of its answer."""
    told = [
        "You can call functions. Answer with one JSON object.",
        'To call functions: {"calls": [{"name": "<function>", "arguments": {<its arguments>}}]}',
    ]
    if form.tool_choice is not ToolChoice.REQUIRED:
        told.append('To answer without a call, or when you have all results: {"answer": "<your answer>"}')
    return "\n".join([*told, "The functions:", *function_lines(form)])


def function_lines(form: ToolConfig) -> Iterator[str]:
    for each in form.callable:
        body = {"name": each.name, "description": each.description or "", "parameters": each.parameters or ANYTHING}
        yield json.dumps(body, ensure_ascii=False)


def parsed_answer(text: str, form: ToolConfig) -> ParsedAnswer | None:
    """Read an answer; None where it is not of the form."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    match body:
        case {"calls": [*calls]} if calls:
            read = [call_in(each, form) for each in calls]
            found = tuple(each for each in read if each)
            return ParsedAnswer(calls=found if form.parallel else found[:1]) if len(found) == len(read) else None
        case {"answer": answer} if form.tool_choice is not ToolChoice.REQUIRED:
            return ParsedAnswer(text=answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))
        case _:
            return None


def call_in(body: Any, form: ToolConfig) -> FunctionCall | None:
    match body:
        case {"name": str(name), "arguments": {**arguments}} if name in {each.name for each in form.callable}:
            return FunctionCall(name=name, arguments=json.dumps(arguments, ensure_ascii=False))
        case _:
            return None


def texts_of(form: ToolConfig) -> tuple[str, ...]:
    """Return what a model reads of a form, for its size: at most so much, whichever way it is told."""
    called = (instructions_of(form),) if form.callable else ()
    schema = form.format.schema
    formed = (json.dumps(schema, ensure_ascii=False),) if schema else ()
    return (*called, *formed, *(IMAGE,) * form.images)
