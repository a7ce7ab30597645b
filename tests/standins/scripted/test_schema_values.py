"""Does a generated value satisfy its schema?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins.scripted.schema_values import value_of

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["name", "next"],
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"default": [1]}, [1]),
        ({"type": "string"}, "value"),
        ({"type": "string", "maxLength": 2}, "va"),
        ({"type": "string", "minLength": 8}, "valuexxx"),
        ({"type": "string", "format": "date"}, "2026-01-02"),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": "integer", "maximum": -4}, -4),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "number", "minimum": 2, "maximum": 3}, 2.5),
        ({"type": "number", "maximum": 0}, -1),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"const": 0}, "minItems": 3}, [0, 0, 0]),
        ({"type": "array", "items": {"const": 0}, "maxItems": 0}, []),
        ({"type": "array", "prefixItems": [{"const": "a"}, {"const": 2}]}, ["a", 2]),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "b"}),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"oneOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
        ({"$defs": {"x": {"const": 5}}, "properties": {"a": {"$ref": "#/$defs/x"}}}, {"a": 5}),
        (True, "value"),
    ],
)
def test_a_schema_gives_its_value(schema: Any, value: Any) -> None:
    assert value_of(schema) == value


def test_a_recursive_schema_ends() -> None:
    value, depth = value_of(TREE), 0
    while value is not None:
        assert value["name"] == "name"
        value, depth = value["next"], depth + 1
    assert 1 <= depth <= 10


@given(low=st.integers(-1000, 1000), span=st.integers(1, 1000), whole=st.booleans())
def test_a_number_stays_within_its_bounds(low: int, span: int, whole: bool) -> None:  # noqa: FBT001 - drawn
    kind = "integer" if whole else "number"
    assert low <= value_of({"type": kind, "minimum": low, "maximum": low + span}) <= low + span


@given(low=st.integers(-1000, 1000), step=st.integers(1, 50))
def test_an_integer_is_a_multiple_above_its_bound(low: int, step: int) -> None:
    value = value_of({"type": "integer", "exclusiveMinimum": low, "multipleOf": step})
    assert value > low
    assert value % step == 0
