"""How does a model call functions when its backend supports JSON schemas but no tools?

The output is one JSON object: `{"calls": [{"name": …, "arguments": {…}}]}`, or `{"answer": …}` where a text is allowed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.content.tools import ANYTHING, FunctionCall, FunctionTool, OutputFormatKind, ToolChoice, ToolConfig

MAX_CALLS: Final = 8
IMAGE_PLACEHOLDER: Final = "x" * 4096
"""The placeholder for an image in size estimates: about 1,000 tokens expected, 4,096 at most."""
DEFINITION_KEYWORDS: Final = ("$defs", "definitions")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAnswer:
    """The parsed output of a model: a text, or function calls."""

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()


def output_schema(config: ToolConfig) -> dict[str, Any]:
    """Return the schema of the allowed outputs. The definitions of each function get a prefix of their own."""
    definitions: dict[str, Any] = {}
    calls = [call_schema(each, f"f{index}_", definitions) for index, each in enumerate(config.callable_functions)]
    most = MAX_CALLS if config.parallel else 1
    several = {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": most}
    called = closed_object(calls=several)
    if config.tool_choice is not ToolChoice.REQUIRED:
        answer = with_definitions_hoisted(answer_schema(config), "answer_", definitions)
        called = {"anyOf": [closed_object(answer=answer), called]}
    return called | ({"$defs": definitions} if definitions else {})


def answer_schema(config: ToolConfig) -> Mapping[str, Any]:
    if config.format.kind is OutputFormatKind.TEXT:
        return {"type": "string"}
    return config.format.schema or {"type": "object"}


def call_schema(function: FunctionTool, prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    arguments = with_definitions_hoisted(function.parameters or ANYTHING, prefix, definitions)
    return closed_object(name={"const": function.name}, arguments=arguments)


def closed_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def with_definitions_hoisted(schema: Mapping[str, Any], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that can be nested: its definitions move to the root under prefixed names."""
    for word in DEFINITION_KEYWORDS:
        for name, each in dict(schema.get(word) or {}).items():
            definitions[prefix + name] = with_prefixed_references(each, prefix)
    return with_prefixed_references(
        {name: each for name, each in schema.items() if name not in DEFINITION_KEYWORDS}, prefix
    )


def with_prefixed_references(value: Any, prefix: str) -> Any:
    """Return part of a schema with its references changed to the prefixed definitions of the root."""
    match value:
        case {"$ref": str(reference), **rest} if reference.rpartition("/")[0] in ("#/$defs", "#/definitions"):
            return {"$ref": f"#/$defs/{prefix}{reference.rpartition('/')[2]}", **with_prefixed_references(rest, prefix)}
        case dict():
            return {name: with_prefixed_references(each, prefix) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
        case list():
            return [with_prefixed_references(each, prefix) for each in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        case _:
            return value


def tool_instructions(config: ToolConfig) -> str:
    """Return the instructions about the functions and the output format."""
    lines = [
        "You can call functions. Answer with one JSON object.",
        'To call functions: {"calls": [{"name": "<function>", "arguments": {<its arguments>}}]}',
    ]
    if config.tool_choice is not ToolChoice.REQUIRED:
        lines.append('To answer without a call, or when you have all results: {"answer": "<your answer>"}')
    return "\n".join([*lines, "The functions:", *function_lines(config)])


def function_lines(config: ToolConfig) -> Iterator[str]:
    for each in config.callable_functions:
        body = {"name": each.name, "description": each.description or "", "parameters": each.parameters or ANYTHING}
        yield json.dumps(body, ensure_ascii=False)


def parsed_answer(text: str, config: ToolConfig) -> ParsedAnswer | None:
    """Parse an output; None where it does not have the required shape."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    match body:
        case {"calls": [*calls]} if calls:
            read = [parsed_call(each, config) for each in calls]
            found = tuple(each for each in read if each)
            return ParsedAnswer(calls=found if config.parallel else found[:1]) if len(found) == len(read) else None
        case {"answer": answer} if config.tool_choice is not ToolChoice.REQUIRED:
            return ParsedAnswer(text=answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))
        case _:
            return None


def parsed_call(body: Any, config: ToolConfig) -> FunctionCall | None:
    match body:
        case {"name": str(name), "arguments": {**arguments}} if name in {
            each.name for each in config.callable_functions
        }:
            return FunctionCall(name=name, arguments=json.dumps(arguments, ensure_ascii=False))
        case _:
            return None


def tool_config_texts(config: ToolConfig) -> tuple[str, ...]:
    """Return the texts that a tool configuration adds to a prompt at most, for size estimates."""
    called = (tool_instructions(config),) if config.callable_functions else ()
    schema = config.format.schema
    formed = (json.dumps(schema, ensure_ascii=False),) if schema else ()
    return (*called, *formed, *(IMAGE_PLACEHOLDER,) * config.images)
