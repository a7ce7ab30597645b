"""Which functions does the app have, and what triggers them?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devhost.supervisor.messages import Ready

DURABLE_NAME = {"orchestrationTrigger": "orchestration", "activityTrigger": "activity", "entityTrigger": "entityName"}
SUPPORTED = frozenset({"httpTrigger", "timerTrigger", "warmupTrigger", *DURABLE_NAME})
SUPPORTED_BINDINGS = {one.lower() for one in SUPPORTED} | {"durableclient", "orchestrationclient", "http"}


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
    """Functions by their name; orchestrators, activities and entities by their durable name in lower case."""

    functions: Mapping[str, Function]
    orchestrators: Mapping[str, Function]
    activities: Mapping[str, Function]
    entities: Mapping[str, Function] = field(default_factory=dict[str, Function])
    http: str | None = None

    def of_type(self, type_: str) -> list[Function]:
        return [function for function in self.functions.values() if function.type == type_]


def catalog_from_ready(ready: Ready) -> Catalog:
    functions = [
        Function(name=one.name, id=one.id, trigger=trigger_of(one.bindings), bindings=one.bindings)
        for one in ready.functions
    ]
    return Catalog(
        functions={one.name: one for one in sorted(functions, key=lambda one: one.name.lower())},
        orchestrators=durable(functions, "orchestrationTrigger"),
        activities=durable(functions, "activityTrigger"),
        entities=durable(functions, "entityTrigger"),
        http=ready.http,
    )


def trigger_of(bindings: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
    return next(one for one in bindings if str(one["type"]).lower().endswith("trigger"))


def durable(functions: list[Function], type_: str) -> dict[str, Function]:
    return {one.durable_name.lower(): one for one in functions if one.type == type_}


def unsupported(function: Function) -> list[str]:
    """The kinds of bindings of a function that this host does not serve."""
    return [str(one["type"]) for one in function.bindings if str(one["type"]).lower() not in SUPPORTED_BINDINGS]
