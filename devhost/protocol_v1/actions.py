"""Which actions did the orchestrator request? The SDK's action list, parsed."""

import json
from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from typing import Any

from devhost.protocol_v1.times import parse_time

MAX_RETRY_INTERVAL_S = 6.0 * 24 * 3600


class UnsupportedActionError(Exception):
    """The orchestrator requested an action that this host does not support."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOptions:
    """Intervals in seconds and a back-off factor; `attempts` includes the first one."""

    first_s: float
    attempts: int
    factor: float = 1.0
    longest_s: float = MAX_RETRY_INTERVAL_S

    def delay_s(self, failures: int) -> float:
        return min(self.longest_s, self.first_s * self.factor ** (failures - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallActivity:
    name: str
    input: str
    retry: RetryOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSubOrchestrator:
    name: str
    input: str | None
    instance: str | None = None
    version: str | None = None
    retry: RetryOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTimer:
    fire_at: float
    cancelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityAction:
    """`input` is a JSON text within a JSON text, as entities expect it. `due` delays a signal."""

    entity: str
    operation: str
    input: str
    signal: bool
    due: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHttp:
    """`request` is the JSON text of method, uri, content, headers and tokenSource."""

    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForEvent:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueAsNew:
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WhenAny:
    children: tuple["Action", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhenAll:
    children: tuple["Action", ...]


type Action = (
    CallActivity
    | CallSubOrchestrator
    | CreateTimer
    | EntityAction
    | CallHttp
    | WaitForEvent
    | ContinueAsNew
    | WhenAny
    | WhenAll
)

type Wire = Mapping[str, Any]


def retry_from_wire(wire: Wire) -> RetryOptions | None:
    options = wire.get("retryOptions")
    if options is None:
        return None
    longest = options.get("maxRetryIntervalInMilliseconds")
    return RetryOptions(
        first_s=options["firstRetryIntervalInMilliseconds"] / 1000,
        attempts=options["maxNumberOfAttempts"],
        factor=options.get("backoffCoefficient") or 1.0,
        longest_s=longest / 1000 if longest else MAX_RETRY_INTERVAL_S,
    )


def activity(wire: Wire) -> CallActivity:
    return CallActivity(name=wire["functionName"], input=wire["input"], retry=retry_from_wire(wire))


def child(wire: Wire) -> CallSubOrchestrator:
    return CallSubOrchestrator(
        name=wire["functionName"],
        input=wire["input"],
        instance=wire.get("instanceId") or None,
        version=wire.get("version"),
        retry=retry_from_wire(wire),
    )


def timer(wire: Wire) -> CreateTimer:
    return CreateTimer(fire_at=parse_time(wire["fireAt"]), cancelled=wire["isCanceled"])


def entity_id(name: str, key: str) -> str:
    return f"@{name.lower()}@{key}"


def entity_action(wire: Wire, *, signal: bool) -> EntityAction:
    _, name, key = wire["instanceId"].split("@", 2)
    input_ = json.dumps(wire["input"])
    return EntityAction(entity=entity_id(name, key), operation=wire["operation"], input=input_, signal=signal)


def call_entity(wire: Wire) -> EntityAction:
    return entity_action(wire, signal=False)


def signal_entity(wire: Wire) -> EntityAction:
    return entity_action(wire, signal=True)


def signal_entity_later(wire: Wire) -> EntityAction:
    """The Python SDK 1.x does not send this action; the SDKs of other languages do."""
    return replace(entity_action(wire, signal=True), due=parse_time(wire["fireAt"]))


def call_http(wire: Wire) -> CallHttp:
    return CallHttp(request=json.dumps(wire["httpRequest"]))


def wait_for_event(wire: Wire) -> WaitForEvent:
    return WaitForEvent(name=wire["externalEventName"])


def continue_as_new(wire: Wire) -> ContinueAsNew:
    return ContinueAsNew(input=wire["input"])


def any_of(wire: Wire) -> WhenAny:
    return WhenAny(children=actions_from_wire(wire["compoundActions"]))


def all_of(wire: Wire) -> WhenAll:
    return WhenAll(children=actions_from_wire(wire["compoundActions"]))


PARSERS = {
    0: activity,
    1: activity,
    2: child,
    3: child,
    4: continue_as_new,
    5: timer,
    6: wait_for_event,
    7: call_entity,
    8: call_http,
    9: signal_entity,
    10: signal_entity_later,
    11: any_of,
    12: all_of,
}


def action_from_wire(wire: Wire) -> Action:
    kind = wire["actionType"]
    if kind not in PARSERS:
        raise UnsupportedActionError(f"action type {kind} is not supported by this host")
    return PARSERS[kind](wire)


def actions_from_wire(wires: list[Wire]) -> tuple[Action, ...]:
    return tuple(action_from_wire(wire) for wire in wires)


def find_desynchronising_call(actions: tuple[Action, ...]) -> str | None:
    """Returns the name of a retried call that shares a task_any or task_all with others, or None.

    Its retries receive their ids late: if the compound ends before them, SDK and host number later tasks differently.
    """
    for action in actions:
        if not isinstance(action, WhenAny | WhenAll):
            continue
        shared = len(action.children) > 1
        found = find_retried_call(action) if shared else find_desynchronising_call(action.children)
        if found is not None:
            return found
    return None


def find_retried_call(action: Action) -> str | None:
    """The SDK wraps a retried call in a when-all of its own."""
    match action:
        case CallActivity() | CallSubOrchestrator():
            return action.name if action.retry is not None else None
        case WhenAny() | WhenAll():
            return next((found for child in action.children if (found := find_retried_call(child))), None)
        case _:
            return None
