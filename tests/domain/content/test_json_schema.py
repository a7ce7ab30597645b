"""Which values match a JSON schema, and is the work bounded?"""

from typing import Any

import pytest

from domain.content.answer_formats import format_problem
from domain.content.json_schema import contradiction, schema_problem
from domain.content.tools import OutputFormat, OutputFormatKind

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
TREE: dict[str, Any] = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
PAIR: dict[str, Any] = {"type": "array", "prefixItems": [{"type": "string"}], "items": {"$ref": "#/$defs/n"}} | {
    "$defs": {"n": {"type": "number", "multipleOf": 0.1}}
}

MATCHES: list[tuple[Any, Any]] = [
    ({"city": "Oslo"}, CITY),
    ({"city": "Oslo", "days": 2.0}, CITY),
    ({"next": {"next": None}}, TREE),
    (["a", 0.3, 1], PAIR),
    (None, {"type": ["string", "null"]}),
    (1, {"oneOf": [{"type": "integer"}, {"type": "string"}]}),
    (1, {"not": {"type": "string"}}),
    ({"a": 1}, {"patternProperties": {"^a$": {"type": "integer"}}, "additionalProperties": False}),
    ("x", {"format": "uuid", "pattern": "^(a+)+$", "unknown": [1]}),
    ("x", {"$ref": "https://example.com/other.json"}),
    ("x", {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
    ("x", True),
]

DIFFERS: list[tuple[Any, Any, str]] = [
    ([], CITY, "$: expected object"),
    ({}, CITY, '$: the property "city" is missing'),
    ({"city": ""}, CITY, "$.city: expected at least 1 characters"),
    ({"city": 1}, CITY, "$.city: expected string"),
    ({"city": "Oslo", "days": 0}, CITY, "$.days: expected a number of at least 1"),
    ({"city": "Oslo", "days": True}, CITY, "$.days: expected integer"),
    ({"city": "Oslo", "secret": 1}, CITY, "$: has a property that the schema does not allow"),
    ({"next": {"next": 1}}, TREE, "$.next: matches none of the 2 alternatives"),
    ([1], PAIR, "$[0]: expected string"),
    (["a", 0.25], PAIR, "$[1]: expected a multiple of 0.1"),
    ("b", {"enum": ["a"]}, "$: not one of the values of its enum"),
    (1, {"const": True}, "$: not the value of its const"),
    (1, {"oneOf": [{"type": "integer"}, {"minimum": 0}]}, "$: matches not exactly one of the 2 alternatives"),
    ("a", {"not": {"type": "string"}}, "$: matches what is excluded"),
    ("a", {"allOf": [{"type": "string"}, {"maxLength": 0}]}, "$: expected at most 0 characters"),
    ({"a": 1}, {"additionalProperties": {"type": "string"}}, "$.*: expected string"),
    ("x", False, "$: not allowed"),
]


@pytest.mark.parametrize(("value", "schema"), MATCHES)
def test_a_value_matches(value: Any, schema: Any) -> None:
    assert not schema_problem(value, schema)


@pytest.mark.parametrize(("value", "schema", "problem"), DIFFERS)
def test_the_first_difference_is_named(value: Any, schema: Any, problem: str) -> None:
    assert schema_problem(value, schema) == problem


@pytest.mark.slow
def test_the_work_is_bounded() -> None:
    doubling: dict[str, Any] = {"$defs": {"0": {"type": "string"}}}
    for depth in range(1, 60):
        option = {"$ref": f"#/$defs/{depth - 1}"}
        doubling["$defs"][str(depth)] = {"anyOf": [option, option]}
    assert not schema_problem(1, doubling | {"$ref": "#/$defs/59"})


def test_a_deep_value_is_not_followed_for_ever() -> None:
    deep: Any = None
    for _ in range(100_000):
        deep = {"next": deep}
    problem = schema_problem(deep, {"additionalProperties": {"$ref": "#"}})
    while deep:
        deep = deep["next"]
    assert problem == "$: nested too deeply to be checked"


@pytest.mark.parametrize(
    ("text", "wanted", "problem"),
    [
        ("Oslo, of course.", OutputFormat(kind=OutputFormatKind.TEXT), ""),
        ("Oslo, of course.", OutputFormat(kind=OutputFormatKind.JSON_OBJECT), "it is not valid JSON"),
        ('{"a": NaN}', OutputFormat(kind=OutputFormatKind.JSON_OBJECT), "it is not valid JSON"),
        ("[1]", OutputFormat(kind=OutputFormatKind.JSON_OBJECT), "it is not a JSON object"),
        ('{"a": 1}', OutputFormat(kind=OutputFormatKind.JSON_OBJECT), ""),
        ("{}", OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, schema=CITY), ""),
        ("{", OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, schema=CITY), "it is not valid JSON"),
        ("[" * 100_000, OutputFormat(kind=OutputFormatKind.JSON_OBJECT), "it is not valid JSON"),
        (
            "{}",
            OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, schema=CITY, strict=True),
            '$: the property "city" is missing',
        ),
    ],
)
def test_an_answer_is_held_to_its_format(text: str, wanted: OutputFormat, problem: str) -> None:
    assert format_problem(text, wanted) == problem


@pytest.mark.parametrize(
    "schema", [{"required": [["a"], {"b": 1}]}, {"x": [1], "$ref": "#/x/" + "9" * 5000}], ids=["required", "$ref"]
)
def test_a_schema_of_nonsense_allows_everything(schema: Any) -> None:
    assert schema_problem({}, schema) == ""


NOTHING: dict[str, Any] = {"type": "array", "minItems": 3, "maxItems": 1}


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (NOTHING, "minItems is above maxItems"),
        ({"properties": {"a": {"anyOf": [{}, {"items": NOTHING}]}}}, "minItems is above maxItems"),
        ({"properties": {"minItems": {"type": "number"}, "maxItems": {"type": "number"}}}, ""),
        ({"properties": {"default": NOTHING}}, "minItems is above maxItems"),
        ({"$defs": {"enum": {"items": NOTHING}}}, "minItems is above maxItems"),
        ({"properties": {"properties": {"const": NOTHING}}}, ""),
        ({"const": NOTHING, "enum": [NOTHING], "minLength": 2, "maxLength": 2}, ""),
        ({"minLength": "5", "maxLength": None}, ""),
    ],
)
def test_limits_that_no_value_keeps_are_found(schema: Any, problem: str) -> None:
    assert contradiction(schema) == problem
