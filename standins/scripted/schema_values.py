"""Which value does a JSON schema allow?

Covers type, enum, const, default, $ref, allOf, anyOf, oneOf, properties, required, items, prefixItems, minItems,
minimum, maximum, their exclusive forms, multipleOf, minLength, maxLength and the usual formats; `pattern` is ignored.
"""

import math
from collections.abc import Callable
from typing import Any

from standins.json_values import Json, json_list, json_object

Schema = Json
MAX_DEPTH = 5

FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def value_of(schema: Any) -> Any:
    """Gives the same value each time; a schema that isn't an object allows anything and gives a string."""
    return ValueMaker(json_object(schema) or {}).make(schema, "value", 0)


class ValueMaker:
    def __init__(self, root: Schema) -> None:
        self.root = root
        self.by_type: dict[str, Callable[[Schema, str, int], Any]] = {
            "object": self.make_object,
            "array": self.make_array,
            "string": make_string,
            "integer": make_integer,
            "number": make_number,
            "boolean": lambda _schema, _name, _depth: True,
            "null": lambda _schema, _name, _depth: None,
        }

    def make(self, value: Any, name: str, depth: int) -> Any:
        schema = self.resolve(value)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if schema.get("enum"):
            return schema["enum"][0]
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self.make(choose(options, depth), name, depth + 1)
        return self.by_type.get(type_of(schema), make_string)(schema, name, depth)

    def resolve(self, value: Any) -> Schema:
        schema = json_object(value) or {}
        for _ in range(MAX_DEPTH):
            if "$ref" not in schema:
                break
            schema = self.follow(str(schema["$ref"]))
        for part in schema.get("allOf", []):
            schema = merge(schema, self.resolve(part))
        return schema

    def follow(self, reference: str) -> Schema:
        place: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            place = place.get(step, {}) if step else place
        return place

    def make_object(self, schema: Schema, _name: str, depth: int) -> Schema:
        properties: Schema = schema.get("properties", {})
        wanted = schema.get("required", [] if depth >= MAX_DEPTH else list(properties))
        return {name: self.make(properties.get(name, {}), name, depth + 1) for name in wanted}

    def make_array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        fixed = schema.get("prefixItems", [])
        least = max(schema.get("minItems", 0 if depth >= MAX_DEPTH else 1), len(fixed))
        kinds = [*fixed, *[schema.get("items", {})] * (least - len(fixed))]
        return [self.make(kind, name, depth + 1) for kind in kinds[: schema.get("maxItems", least)]]


def type_of(schema: Schema) -> str:
    kind = schema.get("type")
    several = json_list(kind)
    if several:
        return next((str(name) for name in several if name != "null"), "null")
    if kind is None:
        return next((name for key, name in (("properties", "object"), ("items", "array")) if key in schema), "string")
    return str(kind)


def choose(options: list[Schema], depth: int) -> Schema:
    if depth < MAX_DEPTH:
        return options[0]
    return next((option for option in options if "$ref" not in option), options[-1])


def merge(left: Schema, right: Schema) -> Schema:
    both: Schema = {**left, **right}
    if "properties" in both:
        both["properties"] = {**left.get("properties", {}), **right.get("properties", {})}
    if "required" in both:
        both["required"] = [*left.get("required", []), *right.get("required", [])]
    return both


def make_string(schema: Schema, name: str, _depth: int) -> str:
    text = FORMATS.get(str(schema.get("format")), name)
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def make_integer(schema: Schema, _name: str, _depth: int) -> int:
    return int(multiple_between(schema, schema.get("multipleOf", 1)))


def make_number(schema: Schema, _name: str, _depth: int) -> float:
    if "multipleOf" in schema:
        return multiple_between(schema, schema["multipleOf"])
    low = schema.get("exclusiveMinimum", schema.get("minimum"))
    high = schema.get("exclusiveMaximum", schema.get("maximum"))
    if low is None:
        return 1.5 if high is None else high - 1
    return low + 1 if high is None else (low + high) / 2


def multiple_between(schema: Schema, step: float) -> float:
    """Gives the smallest multiple above a lower bound, else one step or the largest multiple below the upper one."""
    if "exclusiveMinimum" in schema:
        return (math.floor(schema["exclusiveMinimum"] / step) + 1) * step
    if "minimum" in schema:
        return math.ceil(schema["minimum"] / step) * step
    if "exclusiveMaximum" in schema:
        return min(step, (math.ceil(schema["exclusiveMaximum"] / step) - 1) * step)
    return min(step, math.floor(schema.get("maximum", step) / step) * step)
