"""Is every part of an argument's schema that nothing would check named with its place?"""

from typing import Any

import pytest

from domain.config.argument_schemas import KEYWORDS, MAX_DEPTH, schema_problems

PLACE = "servers.shop.tools.find.arguments.number"


def problems(schema: Any) -> list[str]:
    return list(schema_problems(schema, PLACE))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 0, "maxLength": 0, "description": "", "enum": ["a"]},
        {"type": "number", "minimum": -1.5, "maximum": -1.5, "default": None, "const": 1},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        {
            "type": "object",
            "properties": {"a": {"type": "null"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    ],
)
def test_a_schema_of_known_keywords_has_no_problem(schema: dict[str, Any]) -> None:
    assert problems(schema) == []


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("string", ": expected a table with a JSON schema, found 'string'"),
        ({"type": "text"}, ".type: expected one of "),
        ({}, ".type: expected one of "),
        ({"type": "string", "pattern": "a"}, f".pattern: expected one of the keywords {', '.join(sorted(KEYWORDS))}"),
        ({"type": "string", "enum": []}, ".enum: expected a list of values, found []"),
        ({"type": "string", "enum": "a"}, ".enum: expected a list of values, found 'a'"),
        ({"type": "string", "minLength": -1}, ".minLength: expected a whole number of 0 or more, found -1"),
        ({"type": "array", "maxItems": True}, ".maxItems: expected a whole number of 0 or more, found True"),
        ({"type": "number", "minimum": "0"}, ".minimum: expected a number, found '0'"),
        ({"type": "number", "maximum": False}, ".maximum: expected a number, found False"),
        ({"type": "string", "title": 1}, ".title: expected text, found 1"),
        (
            {"type": "string", "minLength": 3, "maxLength": 2},
            ".minLength: expected at most maxLength, which is 2, found 3",
        ),
        ({"type": "number", "minimum": 0.5, "maximum": 0}, ".minimum: expected at most maximum, which is 0, found 0.5"),
        ({"type": "object", "properties": []}, ".properties: expected a table, found []"),
        ({"type": "object", "properties": {"a": 1}}, ".properties.a: expected a table with a JSON schema, found 1"),
        ({"type": "object", "required": ["a"]}, ".required: expected names of properties, found ['a']"),
        ({"type": "object", "required": "a"}, ".required: expected names of properties, found 'a'"),
        (
            {"type": "object", "additionalProperties": {}},
            ".additionalProperties: expected true or false, found {}",
        ),
        ({"type": "array", "items": 1}, ".items: expected a table with a JSON schema, found 1"),
    ],
)
def test_a_mistake_is_named_with_its_place(schema: Any, problem: str) -> None:
    (found,) = problems(schema)
    assert found.startswith(PLACE + problem)


def test_all_mistakes_are_named_at_once() -> None:
    inner = {"type": "string", "maxLength": "x"}
    schema = {"type": "object", "properties": {"a": inner, "b": {"type": "array", "items": inner}}, "odd": 1}
    assert [each.partition(":")[0].removeprefix(PLACE) for each in problems(schema)] == [
        ".odd",
        ".properties.a.maxLength",
        ".properties.b.items.maxLength",
    ]


def test_a_schema_is_nested_up_to_its_limit() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(MAX_DEPTH):
        schema = {"type": "array", "items": schema}
    assert problems(schema) == []
    assert problems({"type": "array", "items": schema}) == [
        f"{PLACE}{'.items' * (MAX_DEPTH + 1)}: expected at most {MAX_DEPTH} nested schemas"
    ]
