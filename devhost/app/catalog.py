"""Which functions does the app have, and which trigger does each function have?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from devhost.supervisor.messages import IndexedFunction, WorkerReady

DURABLE_NAME_KEYS = {
    "orchestrationTrigger": "orchestration",
    "activityTrigger": "activity",
    "entityTrigger": "entityName",
}
SUPPORTED_TRIGGERS = frozenset({"httpTrigger", "timerTrigger", "warmupTrigger", "queueTrigger", *DURABLE_NAME_KEYS})
SUPPORTED_BINDINGS = {one.lower() for one in SUPPORTED_TRIGGERS} | {"durableclient", "orchestrationclient", "http"}


PLACEHOLDER = re.compile(r"%([^%\s]+)%")
ROUTE = "route"


class UnresolvedSettingError(Exception):
    """A binding refers to a setting that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionMetadata:
    """One function with its trigger and bindings, as the app declares it."""

    name: str
    id: str
    trigger: Mapping[str, Any]
    bindings: tuple[Mapping[str, Any], ...]

    @property
    def type(self) -> str:
        return str(self.trigger["type"])

    @property
    def durable_name(self) -> str:
        return self.trigger.get(DURABLE_NAME_KEYS.get(self.type, "")) or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCatalog:
    """Functions by name; orchestrators, activities and entities by their durable name in lower case.

    `errors` has one message, with the function's name, for each function that can't be served.
    """

    functions: Mapping[str, FunctionMetadata]
    orchestrators: Mapping[str, FunctionMetadata]
    activities: Mapping[str, FunctionMetadata]
    entities: Mapping[str, FunctionMetadata] = field(default_factory=dict[str, FunctionMetadata])
    http: str | None = None
    errors: tuple[str, ...] = ()

    def of_type(self, type_: str) -> list[FunctionMetadata]:
        return [function for function in self.functions.values() if function.type == type_]


def find_setting(name: str, settings: Mapping[str, str]) -> str | None:
    return settings.get(name, settings.get(name.replace(":", "__")))


def resolve_settings(value: Any, settings: Mapping[str, str], *, strict: bool = True) -> Any:
    """Replaces each %NAME% in the texts of a binding by the setting NAME. Raises UnresolvedSettingError if `strict`."""

    def replaced(found: re.Match[str]) -> str:
        text = find_setting(found[1], settings)
        if text is None and strict:
            raise UnresolvedSettingError(f"'{found[0]}' does not resolve to a value")
        return found[0] if text is None else text

    match value:
        case str():
            return PLACEHOLDER.sub(replaced, value)
        case list():
            return [resolve_settings(one, settings, strict=strict) for one in cast("list[Any]", value)]
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {key: resolve_settings(one, settings, strict=strict and key != ROUTE) for key, one in items}
        case _:
            return value


def function_from_worker(one: IndexedFunction, settings: Mapping[str, str]) -> FunctionMetadata:
    """Raises UnresolvedSettingError."""
    bindings = tuple(resolve_settings(binding, settings) for binding in one.bindings)
    return FunctionMetadata(name=one.name, id=one.id, trigger=trigger_binding(bindings), bindings=bindings)


def newer_sdk_functions(ready: WorkerReady) -> list[str]:
    """The functions whose bindings ask for the gRPC protocol of the Durable SDK 2.x."""
    return [one.name for one in ready.functions if any(found.get("durableRequiresGrpc") for found in one.bindings)]


def catalog_from_worker(ready: WorkerReady, settings: Mapping[str, str] | None = None) -> FunctionCatalog:
    """Leaves out functions whose settings are missing; the other functions are served."""
    functions: list[FunctionMetadata] = []
    errors: list[str] = []
    for one in ready.functions:
        try:
            functions.append(function_from_worker(one, settings or {}))
        except UnresolvedSettingError as error:
            errors.append(f"the function '{one.name}' is in error: {error}")
    return FunctionCatalog(
        functions={one.name: one for one in sorted(functions, key=lambda one: one.name.lower())},
        orchestrators=by_durable_name(functions, "orchestrationTrigger"),
        activities=by_durable_name(functions, "activityTrigger"),
        entities=by_durable_name(functions, "entityTrigger"),
        http=ready.http,
        errors=tuple(errors),
    )


def trigger_binding(bindings: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
    return next(one for one in bindings if str(one["type"]).lower().endswith("trigger"))


def by_durable_name(functions: list[FunctionMetadata], type_: str) -> dict[str, FunctionMetadata]:
    return {one.durable_name.lower(): one for one in functions if one.type == type_}


def unsupported_bindings(function: FunctionMetadata) -> list[str]:
    """The binding types of a function that this host does not support."""
    return [str(one["type"]) for one in function.bindings if str(one["type"]).lower() not in SUPPORTED_BINDINGS]
