"""Can a model be held to a schema that a server wrote, or would its backend refuse the turn or never end?

Backends that hold a model to a schema turn it into a grammar. A malformed schema fails the whole turn there; one that
refers to itself without end, or whose least length is above its largest, can take all memory of the backend.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from domain.content.json_schema import TYPES, is_whole, list_at, referenced

MAX_LEVELS: Final = 64
"""How many schemas may be nested, with what they refer to."""

MAX_PARTS: Final = 2_000
"""How many schemas one has with what it refers to, each as often as it is referred to."""

MAX_LEAST: Final = 1_000
"""The largest minimum of a length: the grammar repeats its part so often."""

MAX_NUMBER: Final = 2**63
"""Limits of numbers are smaller: the integers of the backends."""

ENDLESS: Final = "its schema refers to itself without end"
LOST: Final = "its schema refers to a part that it does not have"
TOO_LARGE: Final = f"its schema has more than {MAX_PARTS} parts with what it refers to"
TOO_DEEP: Final = f"its schema has more than {MAX_LEVELS} levels with what it refers to"


class Unusable(Exception):
    """No model can be held to the schema; the message is the reason."""


class Trail(NamedTuple):
    """How a part of a schema was reached.

    `here` is the last reference that describes the same value, `needed` the last one that leads to it by required
    properties alone; each is empty where there is none.
    """

    level: int = 0
    here: str = "#"
    needed: str = "#"

    def below(self, *, is_required: bool = False) -> "Trail":
        """Return the trail of a value inside this one."""
        return Trail(self.level + 1, "", self.needed if is_required else "")

    def beside(self, *, is_one_of_several: bool) -> "Trail":
        """Return the trail of another schema of the same value."""
        return Trail(self.level + 1, self.here, "" if is_one_of_several else self.needed)

    def along(self, reference: str) -> "Trail":
        return Trail(self.level + 1, reference, reference)


class References:
    """Which references lead to which others."""

    def __init__(self) -> None:
        self.after: dict[str, set[str]] = {}

    def add(self, before: str, reference: str) -> bool:
        """Add one, and tell whether it leads back to where it is; an empty `before` is nowhere."""
        if not before:
            return False
        self.after.setdefault(before, set()).add(reference)
        seen, ahead = {reference}, [reference]
        while ahead:
            found = self.after.get(ahead.pop(), set()) - seen
            seen |= found
            ahead += found
        return before in seen


def schema_fault(schema: Mapping[str, Any]) -> str:
    """Return why no model can be held to a schema; empty where one can. The schema has few levels of JSON."""
    try:
        SchemaWalk(schema).parts(schema, Trail())
    except Unusable as fault:
        return str(fault)
    return ""


class SchemaWalk:
    """Counts the parts of one schema. What a reference leads to is walked once and counted each time."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.sizes: dict[str, int] = {}
        self.same, self.inside = References(), References()

    def parts(self, schema: Any, trail: Trail) -> int:
        """Return how many schemas there are; raises Unusable."""
        if trail.level > MAX_LEVELS:
            raise Unusable(TOO_DEEP)
        if isinstance(schema, bool):
            return 1
        if not isinstance(schema, dict):
            raise Unusable("its schema has a part that is no schema")
        rules = cast("dict[str, Any]", schema)
        check_keywords(rules)
        count = 1 + self.referenced_parts(rules, trail)
        count += sum(self.parts(each, trail) for each, trail in inner_schemas(rules, trail))
        if count > MAX_PARTS:
            raise Unusable(TOO_LARGE)
        return count

    def referenced_parts(self, rules: Mapping[str, Any], trail: Trail) -> int:
        reference = rules.get("$ref")
        if reference is None:
            return 0
        if not isinstance(reference, str):
            raise Unusable(LOST)
        if self.same.add(trail.here, reference) or self.inside.add(trail.needed, reference):
            raise Unusable(ENDLESS)
        if reference not in self.sizes:
            target = referenced(self.root, reference)
            if target is None:
                raise Unusable(LOST)
            self.sizes[reference] = 1
            self.sizes[reference] = self.parts(target, trail.along(reference))
        return self.sizes[reference]


def inner_schemas(rules: Mapping[str, Any], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """Yield the schemas in a schema that a grammar is made of, each with its trail."""
    required = list_at(rules, "required")
    for name, each in cast("dict[str, Any]", rules.get("properties", {})).items():
        yield each, trail.below(is_required=name in required)
    for word in INNER:
        if word in rules:
            yield from ((each, trail.below()) for each in listed(rules[word]))
    for word in ("allOf", "anyOf", "oneOf"):
        options = list_at(rules, word)
        beside = trail.beside(is_one_of_several=word != "allOf" and len(options) > 1)
        yield from ((each, beside) for each in options)


def listed(value: Any) -> Iterable[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else (value,)


INNER: Final = ("items", "prefixItems", "additionalProperties")
"""The keywords with schemas of values inside, besides `properties`."""


def is_table(value: Any) -> bool:
    return isinstance(value, dict)


def is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and value != []


def is_type(value: Any) -> bool:
    names = listed(value)
    return value != [] and all(isinstance(name, str) and name in TYPES for name in names)


def are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in cast("list[Any]", value))


def is_length(value: Any) -> bool:
    return is_whole(value) and value >= 0


def is_least(value: Any) -> bool:
    return is_length(value) and value <= MAX_LEAST


def is_limit(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -MAX_NUMBER < value < MAX_NUMBER


LEAST: Final = ("minLength", "minItems", "minProperties", "minContains")
MOST: Final = ("maxLength", "maxItems", "maxProperties", "maxContains")
PAIRS: Final = (*zip(LEAST, MOST, strict=True), ("minimum", "maximum"))
VALUES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "type": is_type,
    "properties": is_table,
    "required": are_names,
    "pattern": lambda value: isinstance(value, str),
    **dict.fromkeys(("enum", "allOf", "anyOf", "oneOf"), is_filled_list),
    **dict.fromkeys(LEAST, is_least),
    **dict.fromkeys(MOST, is_length),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), is_limit),
}
"""Which values a keyword may have. Backends ignore other keywords."""


def check_keywords(rules: Mapping[str, Any]) -> None:
    """Raise Unusable for a keyword whose value is malformed, and for limits that no value keeps."""
    for word, is_good in VALUES.items():
        if word in rules and not is_good(rules[word]):
            raise Unusable(f"{word} in its schema has a value that cannot be used")
    for least, most in PAIRS:
        if least in rules and most in rules and rules[least] > rules[most]:
            raise Unusable(f"{least} in its schema is above {most}")
