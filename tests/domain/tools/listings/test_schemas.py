"""Which schemas of a server would its model's backend refuse, or never end with?"""

from copy import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tools.listings.listing import ListedTool, unusable_reason
from domain.tools.listings.schemas import ENDLESS, LOST, TOO_DEEP, TOO_LARGE, schema_fault

TOOL = ListedTool(name="find", description="Finds.", schema={"type": "object"})
NODE = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}
PAIRS: dict[str, Any] = {
    f"n{at}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/n{at - 1}"} for side in "ab"}}
    for at in range(1, 16)
}


def with_argument(schema: Any, **definitions: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, "required": ["a"], "$defs": definitions}


def calling(name: str, **more: Any) -> dict[str, Any]:
    """Return an object that needs another one, by its reference."""
    return {"properties": {**more, "next": {"$ref": f"#/$defs/{name}"}}, "required": ["next"]}


SEEN_BEFORE = {"a": calling("b", first={"$ref": "#/$defs/b"}), "b": calling("a")}
"""Objects that need each other, of which one was read before as a part that is not needed."""

SAME_BEFORE: dict[str, Any] = {
    "a": {"properties": {"first": {"$ref": "#/$defs/b"}}, "anyOf": [{"$ref": "#/$defs/b"}, {"type": "string"}]},
    "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]},
}
CHAIN = {f"n{at}": {"$ref": f"#/$defs/n{at + 1}"} for at in range(100)} | {"n100": {"type": "string"}}


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        (with_argument({"$ref": "#/$defs/n"}, n={"$ref": "#/$defs/n"}), ENDLESS),
        (with_argument({"$ref": "#/properties/a"}), ENDLESS),
        (with_argument({"$ref": "#"}), ENDLESS),
        (with_argument({"allOf": [{"$ref": "#"}]}), ENDLESS),
        (with_argument({"anyOf": [{"$ref": "#/$defs/n"}, {}]}, n={"anyOf": [{"$ref": "#/$defs/n"}, {}]}), ENDLESS),
        ({"type": "object", "allOf": [{"$ref": "#"}]}, ENDLESS),
        (with_argument({"$ref": "#/$defs/a"}, **SEEN_BEFORE), ENDLESS),
        (with_argument({"$ref": "#/$defs/a"}, **SAME_BEFORE), ENDLESS),
        (with_argument({"$ref": "#/$defs/missing"}), LOST),
        (with_argument({"$ref": "#anchor"}), LOST),
        (with_argument({"$ref": 5}), LOST),
        (with_argument({"$ref": "#/$defs/n15"}, n0={"type": "string"}, **PAIRS), TOO_LARGE),
        (with_argument({"$ref": "#/$defs/n0"}, **CHAIN), TOO_DEEP),
        (with_argument({"type": "string", "minLength": 100_000_000}), "minLength"),
        (with_argument({"type": "array", "minItems": 100_000_000}), "minItems"),
        (
            with_argument({"type": "string", "minLength": 5, "maxLength": 2}),
            "minLength in its schema is above maxLength",
        ),
        (with_argument({"type": "string", "minLength": "5"}), "minLength"),
        (with_argument({"type": "string", "maxLength": -1}), "maxLength"),
        (with_argument({"type": "integer", "minimum": 10**30}), "minimum"),
        (with_argument({"type": "nonsense"}), "type"),
        (with_argument({"type": []}), "type"),
        (with_argument({"enum": []}), "enum"),
        (with_argument({"anyOf": []}), "anyOf"),
        (with_argument({"required": "a"}), "required"),
        (with_argument("string"), "its schema has a part that is no schema"),
        ({"type": "object", "properties": ["a"]}, "properties"),
    ],
)
def test_a_schema_that_no_model_can_be_held_to_is_not_offered(schema: dict[str, Any], fault: str) -> None:
    assert unusable_reason(replace(TOOL, schema=schema)).startswith(fault)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        with_argument(True, unused={"$ref": "#/$defs/node"}),
        with_argument({"$ref": "#/$defs/node"}, node={**NODE, "required": ["next"]}),
        with_argument({"type": "array", "items": {"$ref": "#"}, "minItems": 0, "maxItems": 100_000}),
        with_argument({"type": ["string", "null"], "pattern": "^a$", "format": "date", "x-shown-as": {"a": 1}}),
        with_argument({"$ref": "#/$defs/n8"}, n0={"type": "string"}, **PAIRS),
        {"type": "object", "additionalProperties": False, "properties": {"type": {"const": None}, "enum": {}}},
    ],
)
def test_a_schema_that_is_sound_is_offered(schema: dict[str, Any]) -> None:
    assert not unusable_reason(replace(TOOL, schema=schema))


REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/c", "#/$defs/a/allOf/0"])
ANY: Any = st.fixed_dictionaries({"$ref": REFERENCES}) | st.just({"type": "string"}) | st.booleans()


def wider(inner: Any) -> Any:
    some = st.lists(inner, min_size=1, max_size=2)
    needed = {"properties": st.fixed_dictionaries({"c": inner}), "required": st.just(["c"])}
    forms: list[dict[str, Any]] = [{"allOf": some}, {"anyOf": some}, {"items": inner}, needed]
    return st.one_of(*map(st.fixed_dictionaries, forms))


PARTS: Any = st.recursive(ANY, wider, max_leaves=8)


@given(PARTS, PARTS, PARTS)
def test_any_references_have_an_answer(first: Any, second: Any, third: Any) -> None:
    schema = {"type": "object", "properties": {"c": first}, "$defs": {"a": second, "b": third}}
    assert isinstance(schema_fault(schema), str)
