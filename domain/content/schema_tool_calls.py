"""How does a model call functions when its backend supports JSON schemas but no tools?

The output is one JSON object: `{"calls": [{"name": …, "arguments": {…}}]}`, or `{"answer": …}` where a text is allowed.
A model that reads earlier calls in this form repeats it. So its output is also held to `{"answer": …}` where it may
call no function.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from msgspec import Struct

from domain.content.items import IMAGE_PLACEHOLDER, Item, ItemKind
from domain.content.json_schema import DATA_KEYWORDS, NAMED_KEYWORDS
from domain.content.tools import ANYTHING, FunctionCall, FunctionTool, OutputFormatKind, ToolChoice, ToolConfig

MAX_CALLS: Final = 8
ANSWER_INSTRUCTIONS: Final = 'You can call no function now. Answer with one JSON object: {"answer": "<your answer>"}'
DOCUMENT_KEYWORDS: Final = ("$schema", "$id")
"""The keywords of a whole document; a nested `$id` would change what references mean."""


class ParsedAnswer(Struct, frozen=True, kw_only=True):
    """The parsed output of a model: a text, or function calls."""

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()


def is_held_to_output_schema(config: ToolConfig, items: Iterable[Item]) -> bool:
    """Tell whether the output must have this form: it may call functions, or its prompt shows calls in this form.

    The schema of the caller's own format excludes calls.
    """
    has_schema = config.format.kind is OutputFormatKind.JSON_SCHEMA
    shows_calls = any(item.kind is ItemKind.FUNCTION_CALL for item in items)
    return bool(config.callable_functions) or (shows_calls and not has_schema)


def output_schema(config: ToolConfig) -> dict[str, Any]:
    """Return the schema of the allowed outputs. References stay within the schema of each function."""
    definitions: dict[str, Any] = {}
    calls = [call_schema(each, f"f{index}", definitions) for index, each in enumerate(config.callable_functions)]
    most = MAX_CALLS if config.parallel else 1
    several = {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": most}
    outputs = [closed_object(calls=several)] if calls else []
    if allows_answer(config):
        answer = nestable(answer_schema(config), "answer", definitions)
        outputs.insert(0, closed_object(answer=answer))
    schema = outputs[0] if len(outputs) == 1 else {"anyOf": outputs}
    return schema | ({"$defs": definitions} if definitions else {})


def allows_answer(config: ToolConfig) -> bool:
    return config.tool_choice is not ToolChoice.REQUIRED or not config.callable_functions


def answer_schema(config: ToolConfig) -> Mapping[str, Any]:
    if config.format.kind is OutputFormatKind.TEXT:
        return {"type": "string"}
    return config.format.schema or {"type": "object"}


def call_schema(function: FunctionTool, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    arguments = nestable(function.parameters or ANYTHING, name, definitions)
    return closed_object(name={"const": function.flat_name}, arguments=arguments)


def closed_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def nestable(schema: Mapping[str, Any], name: str, definitions: dict[str, Any]) -> Mapping[str, Any]:
    """Return a schema that can be nested. One that refers to itself moves to `$defs` of the root under `name`."""
    own = {key: value for key, value in schema.items() if key not in DOCUMENT_KEYWORDS}
    moved = moved_schema(own, f"#/$defs/{name}", str(schema.get("$id", "")))
    if moved == own:
        return own
    definitions[name] = moved
    return {"$ref": f"#/$defs/{name}"}


def moved_schema(schema: Any, to: str, base: str) -> Any:
    """Return part of a schema with references that hold where the schema's root is at `to`. `base` is its `$id`."""
    if isinstance(schema, list):
        return [moved_schema(each, to, base) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    rules = cast("dict[str, Any]", schema)
    return {word: moved_keyword(word, value, to, base) for word, value in rules.items()}


def moved_keyword(word: str, value: Any, to: str, base: str) -> Any:
    if word == "$ref" and isinstance(value, str):
        pointer = value.removeprefix(base) or "#"
        return to + pointer[1:] if pointer == "#" or pointer.startswith("#/") else value
    if word in DATA_KEYWORDS:
        return value
    if word in NAMED_KEYWORDS and isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {name: moved_schema(each, to, base) for name, each in named.items()}
    return moved_schema(value, to, base)


def tool_instructions(config: ToolConfig) -> str:
    """Return the instructions about the functions and the output format."""
    if not config.callable_functions:
        return ANSWER_INSTRUCTIONS
    lines = [
        "You can call functions. Answer with one JSON object.",
        'To call functions: {"calls": [{"name": "<function>", "arguments": {<its arguments>}}]}',
    ]
    if allows_answer(config):
        lines.append('To answer without a call, or when you have all results: {"answer": "<your answer>"}')
    return "\n".join([*lines, "The functions:", *function_lines(config)])


def function_lines(config: ToolConfig) -> Iterator[str]:
    for each in config.callable_functions:
        described = {"name": each.flat_name, "description": each.full_description or ""}
        body = described | {"parameters": each.parameters or ANYTHING}
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
        case {"answer": answer} if allows_answer(config):
            return ParsedAnswer(text=answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))
        case _:
            return None


def parsed_call(body: Any, config: ToolConfig) -> FunctionCall | None:
    match body:
        case {"name": str(name), "arguments": {**arguments}} if name in {
            each.flat_name for each in config.callable_functions
        }:
            return FunctionCall(name=name, arguments=json.dumps(arguments, ensure_ascii=False))
        case _:
            return None


def tool_config_texts(config: ToolConfig) -> tuple[str, ...]:
    """Return the texts that a tool configuration adds to a prompt at most, for size estimates."""
    called = (tool_instructions(config),) if config.functions else ()
    schema = config.format.schema
    formed = (json.dumps(schema, ensure_ascii=False),) if schema else ()
    return (*called, *formed, *(IMAGE_PLACEHOLDER,) * config.images)
