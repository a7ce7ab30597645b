"""Which JSON schema has an argument in the file of the tools, and is all of it understood?

A keyword that nothing checks would promise a limit that does not hold, so unknown keywords are errors at start.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from domain.content.json_schema import TYPES

MAX_DEPTH: Final = 8

WHOLE: Final = ("minLength", "maxLength", "minItems", "maxItems")
NUMBERS: Final = ("minimum", "maximum")
PAIRS: Final = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum"))
TEXTS: Final = ("description", "title", "format")
KEYWORDS: Final = frozenset(
    {"type", "enum", "const", "default", "properties", "required", "additionalProperties", "items"}
    | {*WHOLE, *NUMBERS, *TEXTS}
)
"""The keywords that `domain.tools.arguments` checks, and those that only describe."""


def schema_problems(schema: Any, path: str, depth: int = 0) -> Iterator[str]:
    """Yield the problems of a schema; `path` names its place in the file."""
    if not isinstance(schema, dict):
        yield f"{path}: expected a table with a JSON schema, found {schema!r}"
        return
    if depth > MAX_DEPTH:
        yield f"{path}: expected at most {MAX_DEPTH} nested schemas"
        return
    body = cast("dict[str, Any]", schema)
    for name in body.keys() - KEYWORDS:
        yield f"{path}.{name}: expected one of the keywords {', '.join(sorted(KEYWORDS))}"
    yield from keyword_problems(body, path)
    yield from nested_problems(body, path, depth)


def keyword_problems(body: Mapping[str, Any], path: str) -> Iterator[str]:
    if body.get("type") not in TYPES:
        yield f"{path}.type: expected one of {', '.join(TYPES)}, found {body.get('type')!r}"
    for names, is_good, expected in KEYWORD_VALUES:
        for name in names:
            if name in body and not is_good(body[name]):
                yield f"{path}.{name}: expected {expected}, found {body[name]!r}"
    for least, most in PAIRS:
        numbers = [body[name] for name in (least, most) if type(body.get(name)) in {int, float}]
        if len(numbers) == 2 and numbers[0] > numbers[1]:  # noqa: PLR2004 - both are there
            yield f"{path}.{least}: expected at most {most}, which is {numbers[1]!r}, found {numbers[0]!r}"


KEYWORD_VALUES: Final[tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...]] = (
    (("enum",), lambda value: isinstance(value, list) and value != [], "a list of values"),
    (WHOLE, lambda value: type(value) is int and value >= 0, "a whole number of 0 or more"),
    (NUMBERS, lambda value: type(value) in {int, float}, "a number"),
    (TEXTS, lambda value: isinstance(value, str), "text"),
)
"""The values that keywords may have, with the words for an error."""


def nested_problems(body: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    properties = body.get("properties", {})
    if not isinstance(properties, dict):
        yield f"{path}.properties: expected a table, found {properties!r}"
        return
    named = cast("dict[str, Any]", properties)
    for name, each in named.items():
        yield from schema_problems(each, f"{path}.properties.{name}", depth + 1)
    required: Any = body.get("required", [])
    if not (isinstance(required, list) and all(name in named for name in cast("list[Any]", required))):
        yield f"{path}.required: expected names of properties, found {required!r}"
    if not isinstance(body.get("additionalProperties", True), bool):
        yield f"{path}.additionalProperties: expected true or false, found {body['additionalProperties']!r}"
    if "items" in body:
        yield from schema_problems(body["items"], f"{path}.items", depth + 1)
