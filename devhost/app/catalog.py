"""Which functions does the app have, and what triggers them?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from devhost.supervisor.messages import Indexed, Ready

DURABLE_NAME = {"orchestrationTrigger": "orchestration", "activityTrigger": "activity", "entityTrigger": "entityName"}
SUPPORTED = frozenset({"httpTrigger", "timerTrigger", "warmupTrigger", *DURABLE_NAME})
SUPPORTED_BINDINGS = {one.lower() for one in SUPPORTED} | {"durableclient", "orchestrationclient", "http"}


PLACEHOLDER = re.compile(r"%([^%\s]+)%")
ROUTE = "route"


class UnresolvedError(Exception):
    """A binding names a setting that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function and its trigger as the app declares it."""

    name: str
    id: str
    trigger: Mapping[str, Any]
    bindings: tuple[Mapping[str, Any], ...]

    @property
    def type(self) -> str:
        return str(self.trigger["type"])

    @property
    def durable_name(self) -> str:
        return self.trigger.get(DURABLE_NAME.get(self.type, "")) or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Functions by their name; orchestrators, activities and entities by their durable name in lower case.

    `errors` tell of functions that can't be served, each with the function's name.
    """

    functions: Mapping[str, Function]
    orchestrators: Mapping[str, Function]
    activities: Mapping[str, Function]
    entities: Mapping[str, Function] = field(default_factory=dict[str, Function])
    http: str | None = None
    errors: tuple[str, ...] = ()

    def of_type(self, type_: str) -> list[Function]:
        return [function for function in self.functions.values() if function.type == type_]


def setting(name: str, settings: Mapping[str, str]) -> str | None:
    return settings.get(name, settings.get(name.replace(":", "__")))


def resolved(value: Any, settings: Mapping[str, str], *, strict: bool = True) -> Any:
    """%NAME% stands for a setting, wherever a binding has text. Raises UnresolvedError if `strict`."""

    def replaced(found: re.Match[str]) -> str:
        text = setting(found[1], settings)
        if text is None and strict:
            raise UnresolvedError(f"'{found[0]}' does not resolve to a value")
        return found[0] if text is None else text

    match value:
        case str():
            return PLACEHOLDER.sub(replaced, value)
        case list():
            return [resolved(one, settings, strict=strict) for one in cast("list[Any]", value)]
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {key: resolved(one, settings, strict=strict and key != ROUTE) for key, one in items}
        case _:
            return value


def function_from_indexed(one: Indexed, settings: Mapping[str, str]) -> Function:
    """Raises UnresolvedError."""
    bindings = tuple(resolved(binding, settings) for binding in one.bindings)
    return Function(name=one.name, id=one.id, trigger=trigger_of(bindings), bindings=bindings)


def catalog_from_ready(ready: Ready, settings: Mapping[str, str] | None = None) -> Catalog:
    """A function whose settings are missing is left out: the others are served."""
    functions: list[Function] = []
    errors: list[str] = []
    for one in ready.functions:
        try:
            functions.append(function_from_indexed(one, settings or {}))
        except UnresolvedError as error:
            errors.append(f"the function '{one.name}' is in error: {error}")
    return Catalog(
        functions={one.name: one for one in sorted(functions, key=lambda one: one.name.lower())},
        orchestrators=durable(functions, "orchestrationTrigger"),
        activities=durable(functions, "activityTrigger"),
        entities=durable(functions, "entityTrigger"),
        http=ready.http,
        errors=tuple(errors),
    )


def trigger_of(bindings: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
    return next(one for one in bindings if str(one["type"]).lower().endswith("trigger"))


def durable(functions: list[Function], type_: str) -> dict[str, Function]:
    return {one.durable_name.lower(): one for one in functions if one.type == type_}


def unsupported(function: Function) -> list[str]:
    """The kinds of bindings of a function that this host does not serve."""
    return [str(one["type"]) for one in function.bindings if str(one["type"]).lower() not in SUPPORTED_BINDINGS]
