"""Does a JSON value match a JSON schema?

A schema may be a caller's, so the work is bounded: references leave neither the schema nor `MAX_STEPS`, and `pattern`
is not checked, because a regular expression can take for ever. Keywords that are not known here allow everything.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast
from urllib.parse import unquote

MAX_STEPS: Final = 20_000
"""How many schemas are compared with values for one answer; what is left then counts as a match."""

LONGEST_INDEX: Final = 9
"""How many digits the position in a reference may have; Python refuses to read very long numbers."""

MAX_REFERENCES: Final = 32
"""How many references may follow one another; a longer chain, or a circle, allows everything."""


def is_number(value: Any) -> bool:
    """Tell whether a value is a number of JSON: not true, NaN or infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    return is_number(value) and (isinstance(value, int) or value.is_integer())


TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": is_whole,
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}

type Path = tuple[str, ...]
type Limit = tuple[Callable[[Any], bool], Callable[[Any, Any], bool], str]


def is_multiple(value: Any, step: Any) -> bool:
    return step > 0 and math.isclose(value / step, round(value / step), rel_tol=0, abs_tol=1e-9)


LIMITS: Final[Mapping[str, Limit]] = {
    "minLength": (TYPES["string"], lambda value, limit: len(value) >= limit, "at least {} characters"),
    "maxLength": (TYPES["string"], lambda value, limit: len(value) <= limit, "at most {} characters"),
    "minItems": (TYPES["array"], lambda value, limit: len(value) >= limit, "at least {} items"),
    "maxItems": (TYPES["array"], lambda value, limit: len(value) <= limit, "at most {} items"),
    "minProperties": (TYPES["object"], lambda value, limit: len(value) >= limit, "at least {} properties"),
    "maxProperties": (TYPES["object"], lambda value, limit: len(value) <= limit, "at most {} properties"),
    "minimum": (is_number, lambda value, limit: value >= limit, "a number of at least {}"),
    "maximum": (is_number, lambda value, limit: value <= limit, "a number of at most {}"),
    "exclusiveMinimum": (is_number, lambda value, limit: value > limit, "a number above {}"),
    "exclusiveMaximum": (is_number, lambda value, limit: value < limit, "a number below {}"),
    "multipleOf": (is_number, is_multiple, "a multiple of {}"),
}


def parsed_json(text: str) -> tuple[bool, Any]:
    """Parse a text; return whether it is JSON, and its value. NaN and Infinity are no JSON."""
    try:
        return True, json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError):
        return False, None


def no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Mismatch(NamedTuple):
    """A value that does not match: its path (parts like `.name` and `[0]`), and the keyword and rule that it breaks.

    `name` is the property that is missing or not allowed. In a path, `.*` is a property that the schema does not name.
    """

    path: tuple[str, ...]
    keyword: str
    rule: Any
    name: str = ""

    @property
    def expected(self) -> str:
        """What was expected, in words without any part of the value."""
        if self.keyword in LIMITS:
            return f"expected {LIMITS[self.keyword][2].format(self.rule)}"
        return TEXTS[self.keyword](self)


TEXTS: Final[Mapping[str, Callable[[Mismatch], str]]] = {
    "type": lambda found: f"expected {' or '.join(map(str, types_of(found.rule)))}",
    "enum": lambda _: "not one of the values of its enum",
    "const": lambda _: "not the value of its const",
    "required": lambda found: f"the property {json.dumps(found.name)} is missing",
    "additionalProperties": lambda _: "has a property that the schema does not allow",
    "anyOf": lambda found: f"matches none of the {len(found.rule)} alternatives",
    "oneOf": lambda found: f"matches not exactly one of the {len(found.rule)} alternatives",
    "not": lambda _: "matches what is excluded",
    "false": lambda _: "not allowed",
    "depth": lambda _: "nested too deeply to be checked",
    "size": lambda _: "a number is too large to be checked",
}


def schema_problem(value: Any, schema: Any) -> str:
    """Return the first place where the value does not match, without its content; empty where it matches."""
    found = first_mismatch(value, schema)
    return f"${''.join(found.path)}: {found.expected}" if found else ""


def first_mismatch(value: Any, schema: Any) -> Mismatch | None:
    try:
        return next(SchemaChecker(schema).problems(value, schema, ()), None)
    except RecursionError:
        return Mismatch((), "depth", None)
    except OverflowError:
        return Mismatch((), "size", None)


class SchemaChecker:
    """Compares values with the parts of one schema, `root`."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.steps = 0

    def problems(self, value: Any, schema: Any, path: Path) -> Iterator[Mismatch]:
        if schema is False:
            yield Mismatch(path, "false", schema)
        if not isinstance(schema, dict):
            return
        rules = cast("Mapping[str, Any]", schema)
        self.steps += 1 + len(list_at(rules, "enum"))
        if self.steps > MAX_STEPS:
            return
        yield from self.reference_problems(value, rules, path)
        yield from value_problems(value, rules, path)
        yield from self.combined_problems(value, rules, path)
        if isinstance(value, dict):
            yield from self.object_problems(cast("dict[str, Any]", value), rules, path)
        elif isinstance(value, list):
            yield from self.array_problems(cast("list[Any]", value), rules, path)

    def reference_problems(self, value: Any, rules: Mapping[str, Any], path: Path) -> Iterator[Mismatch]:
        for _ in range(MAX_REFERENCES):
            reference = rules.get("$ref")
            target: Any = referenced(self.root, reference) if isinstance(reference, str) else None
            if target is None:
                return
            if not (isinstance(target, dict) and set(cast("dict[str, Any]", target)) == {"$ref"}):
                yield from self.problems(value, target, path)
                return
            rules = cast("dict[str, Any]", target)

    def matches(self, value: Any, schema: Any, path: Path) -> bool:
        return next(self.problems(value, schema, path), None) is None

    def combined_problems(self, value: Any, rules: Mapping[str, Any], path: Path) -> Iterator[Mismatch]:
        for each in list_at(rules, "allOf"):
            yield from self.problems(value, each, path)
        options = list_at(rules, "anyOf")
        if options and not any(self.matches(value, each, path) for each in options):
            yield Mismatch(path, "anyOf", options)
        choices = list_at(rules, "oneOf")
        if choices and sum(self.matches(value, each, path) for each in choices) != 1:
            yield Mismatch(path, "oneOf", choices)
        if "not" in rules and self.matches(value, rules["not"], path):
            yield Mismatch(path, "not", rules["not"])

    def object_problems(self, value: Mapping[str, Any], rules: Mapping[str, Any], path: Path) -> Iterator[Mismatch]:
        properties = table_at(rules, "properties")
        for name in list_at(rules, "required"):
            if isinstance(name, str) and name not in value:
                yield Mismatch(path, "required", rules["required"], name)
        others = True if table_at(rules, "patternProperties") else rules.get("additionalProperties", True)
        for name, each in value.items():
            if name in properties:
                yield from self.problems(each, properties[name], (*path, f".{name}"))
            elif others is False:
                yield Mismatch(path, "additionalProperties", properties, name)
            else:
                yield from self.problems(each, others, (*path, ".*"))

    def array_problems(self, value: list[Any], rules: Mapping[str, Any], path: Path) -> Iterator[Mismatch]:
        first = list_at(rules, "prefixItems")
        rest = rules.get("items", True)
        for index, each in enumerate(value):
            yield from self.problems(each, first[index] if index < len(first) else rest, (*path, f"[{index}]"))


def value_problems(value: Any, rules: Mapping[str, Any], path: Path) -> Iterator[Mismatch]:
    known = [TYPES[name] for name in types_of(rules.get("type")) if isinstance(name, str) and name in TYPES]
    if known and not any(is_type(value) for is_type in known):
        yield Mismatch(path, "type", rules["type"])
    if "enum" in rules and not any(is_same(value, each) for each in list_at(rules, "enum")):
        yield Mismatch(path, "enum", rules["enum"])
    if "const" in rules and not is_same(value, rules["const"]):
        yield Mismatch(path, "const", rules["const"])
    for word, (applies, holds, _) in LIMITS.items():
        limit = rules.get(word)
        if is_number(limit) and applies(value) and not holds(value, limit):
            yield Mismatch(path, word, limit)


def types_of(rule: Any) -> list[Any]:
    return cast("list[Any]", rule) if isinstance(rule, list) else [rule]


def contradiction(schema: Any) -> str:
    """Return the first two limits of a schema that no value keeps, in words; empty where there are none.

    A grammar that is made of them can repeat its part without end, and take all memory of a model's server.
    """
    level: list[Any] = [schema]
    while level:
        for each in level:
            rules = cast("dict[str, Any]", each) if isinstance(each, dict) else {}
            for least, most in CONTRADICTING:
                if all(is_number(rules.get(word)) for word in (least, most)) and rules[least] > rules[most]:
                    return f"{least} is above {most}"
        level = [child for each in level for child in inner_values(each)]
    return ""


def inner_values(value: Any) -> Iterable[Any]:
    """Return the values in part of a schema, without those that are data. Names of the caller are no keywords."""
    if not isinstance(value, dict):
        return children(value)
    rules = cast("dict[str, Any]", value)
    named = [each for word in NAMED_KEYWORDS for each in children(rules.get(word))]
    return [*named, *(each for word, each in rules.items() if word not in (*DATA_KEYWORDS, *NAMED_KEYWORDS))]


CONTRADICTING: Final = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties"))
DATA_KEYWORDS: Final = ("const", "enum", "default", "examples")
"""The keywords whose contents are no schemas."""

NAMED_KEYWORDS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""The keywords whose members are schemas under names of the caller."""


def is_same(value: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal; unlike in Python, true does not equal 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def children(value: Any) -> Iterable[Any]:
    """Return the values in an object or an array; none of anything else."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


def list_at(rules: Mapping[str, Any], name: str) -> list[Any]:
    found = rules.get(name)
    return cast("list[Any]", found) if isinstance(found, list) else []


def table_at(rules: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = rules.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def referenced(root: Any, reference: str) -> Any:
    """Return the part of a schema that a reference (`#`, `#/a/b`) names; None where it is not in the schema."""
    if not (reference == "#" or reference.startswith("#/")):
        return None
    place = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict):
            place = cast("dict[str, Any]", place).get(name)
        elif isinstance(place, list) and name.isdecimal() and len(name) <= LONGEST_INDEX:
            elements = cast("list[Any]", place)
            place = elements[int(name)] if int(name) < len(elements) else None
        else:
            return None
    return place
