"""What does an episode decide, based on the orchestrator's result?"""

import json
from collections.abc import Mapping
from copy import replace
from dataclasses import astuple, dataclass, field
from typing import Any

from devhost.encoding import replace_unencodable
from devhost.engine.model.commands import (
    CallEntity,
    CancelTimer,
    Completed,
    ContinuedAsNew,
    ExecutionOutcome,
    Failed,
    OrchestratorCommand,
    OrchestratorDecision,
    RunActivity,
    SchedulingCommand,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEventKind
from devhost.engine.model.work_items import Episode
from devhost.protocol_v1.actions import Action, UnsupportedActionError, actions_from_wire
from devhost.protocol_v1.http_calls import HTTP_ACTIVITY
from devhost.protocol_v1.replay.determinism import find_mismatch, scheduled_before
from devhost.protocol_v1.replay.simulation import Simulation
from devhost.protocol_v1.replay.traps import warnings_of

MAX_CUSTOM_STATUS_BYTES = 16 * 1024
STATE_MARKER = "\n\n$OutOfProcData$:"


TOO_LARGE = "The size of the JSON-serialized custom status must not exceed 16 KB of UTF-16 text."


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorState:
    """The orchestrator's result: all actions since its start, and its output or error."""

    done: bool
    actions: tuple[Action, ...]
    output: str | None = None
    error: str | None = None
    custom_status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFunctions:
    """The names of orchestrators, activities and entities: lower case mapped to the declared spelling.

    `version` is the default version of orchestrations; `http_poll_interval_s` is the default time between HTTP polls.
    """

    orchestrators: Mapping[str, str]
    activities: Mapping[str, str]
    entities: Mapping[str, str] = field(default_factory=dict[str, str])
    version: str | None = None
    http_poll_interval_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionWithWarnings:
    decision: OrchestratorDecision
    warnings: tuple[str, ...] = ()


def state_from_json(text: str) -> OrchestratorState:
    """Raises ValueError, KeyError or UnsupportedActionError."""
    wire: dict[str, Any] = json.loads(text)
    custom = wire.get("customStatus")
    return OrchestratorState(
        done=wire["isDone"],
        actions=actions_from_wire(wire["actions"][0] if wire["actions"] else []),
        output=json.dumps(wire["output"]) if wire.get("output") is not None else None,
        error=wire.get("error"),
        custom_status=None if custom is None else replace_unencodable(json.dumps(custom, ensure_ascii=False)),
    )


def state_from_failure(message: str) -> OrchestratorState | None:
    """Parses the state after the last marker of an exception message; the error itself may quote the marker."""
    _, marker, tail = message.rpartition(STATE_MARKER)
    return state_from_json(tail) if marker else None


def orchestrator_failed(name: str, error: str) -> Failed:
    text = replace_unencodable(error)
    return Failed(
        reason=f"Orchestrator function '{name}' failed: {text}", details=f"Message: {text}, StackTrace: (none)"
    )


def unknown_function(kind: str, article: str, name: str, known: Mapping[str, str]) -> Failed:
    names = ", ".join(f"'{one}'" for one in sorted(known.values()))
    return Failed(
        reason=f"The function '{name}' doesn't exist, is disabled, or is not {article} {kind} function. "
        f"Additional info: The following are the known {kind} functions: {names}."
    )


def unknown_orchestrator(name: str, names: KnownFunctions) -> Failed:
    return unknown_function("orchestrator", "an", name, names.orchestrators)


def rejection(episode: Episode, command: OrchestratorCommand, names: KnownFunctions) -> Failed | None:
    """Returns the failure for a command that would make the instance wait for ever, or None."""
    match command:
        case RunActivity() if command.name != HTTP_ACTIVITY and command.name.lower() not in names.activities:
            return unknown_function("activity", "an", command.name, names.activities)
        case StartChild() if command.name.lower() not in names.orchestrators:
            return unknown_orchestrator(command.name, names)
        case CallEntity() | SignalEntity() if (name := command.entity.split("@")[1]) not in names.entities:
            return unknown_function("entity", "an", name, names.entities)
        case StartChild() if is_own_or_parent_id(episode, command.instance):
            return Failed(
                reason=f"The sub-orchestration '{command.name}' can't have the instance id '{command.instance}': "
                "it is the id of this instance or of its parent."
            )
        case _ if not is_encodable(command):
            return Failed(
                reason=f"The action with sequence ID {command.id} contains half of a surrogate pair, "
                "which can't be stored."
            )
        case _:
            return None


def is_encodable(command: OrchestratorCommand) -> bool:
    return all(text == replace_unencodable(text) for text in astuple(command) if isinstance(text, str))


def is_own_or_parent_id(episode: Episode, instance: str) -> bool:
    parent = episode.instance.parent
    return instance.lower() in {episode.instance.id.lower(), parent.instance.lower() if parent else ""}


def cancellations(commands: list[SchedulingCommand], episode: Episode) -> list[OrchestratorCommand]:
    """Timers of earlier episodes that were cancelled in this one."""
    fired = {
        event.task
        for event in (*episode.past_events, *episode.new_events)
        if event.kind is HistoryEventKind.TIMER_FIRED
    }
    created = {event.id for event in episode.past_events if event.kind is HistoryEventKind.TIMER_CREATED}
    cancelled = {c.id for c in commands if isinstance(c, StartTimer) and c.cancelled}
    return [CancelTimer(id=number) for number in sorted((cancelled & created) - fired)]


def execution_outcome(state: OrchestratorState, simulation: Simulation, name: str) -> ExecutionOutcome | None:
    if not simulation.ended:
        return None
    if state.error is not None:
        return orchestrator_failed(name, state.error)
    if simulation.continued_as_new is not None:
        return ContinuedAsNew(
            input=json.dumps(simulation.continued_as_new.input), carried_events=tuple(simulation.carried_events)
        )
    return Completed(output=state.output) if state.done else None


def simulate(episode: Episode, state: OrchestratorState, http_poll_interval_s: float = 30.0) -> Simulation:
    simulation = Simulation(
        actions=state.actions, execution=episode.instance.execution, http_poll_interval_s=http_poll_interval_s
    )
    simulation.feed_all((*episode.past_events, *episode.new_events))
    return simulation


def custom_status_too_large(custom_status: str | None) -> bool:
    return custom_status is not None and len(custom_status.encode("utf-16-le")) > MAX_CUSTOM_STATUS_BYTES


def with_default_version(command: SchedulingCommand, names: KnownFunctions) -> OrchestratorCommand:
    if isinstance(command, StartChild) and command.version is None:
        return replace(command, version=names.version)
    return command


def decide(episode: Episode, state: OrchestratorState, names: KnownFunctions) -> DecisionWithWarnings:
    """Compares the requested actions with the history and returns the new commands.

    The SDK does not know suspension: commands of a suspended instance wait until it is resumed.
    """
    simulation = simulate(episode, state, names.http_poll_interval_s)
    before = scheduled_before(episode.past_events)
    complaint = find_mismatch(before, simulation.commands)
    if complaint is not None:
        return DecisionWithWarnings(
            decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, complaint))
        )
    if custom_status_too_large(state.custom_status):
        return DecisionWithWarnings(
            decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, TOO_LARGE))
        )
    if simulation.suspended:
        return DecisionWithWarnings(decision=OrchestratorDecision(custom_status=state.custom_status))
    new_commands = [with_default_version(command, names) for command in simulation.commands if command.id not in before]
    rejected = next((failed for command in new_commands if (failed := rejection(episode, command, names))), None)
    if rejected is not None:
        return DecisionWithWarnings(
            decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, rejected.reason))
        )
    decision = OrchestratorDecision(
        commands=(*new_commands, *cancellations(simulation.commands, episode)),
        outcome=execution_outcome(state, simulation, episode.instance.name),
        custom_status=state.custom_status,
    )
    ended = state.done or state.error is not None
    return DecisionWithWarnings(decision=decision, warnings=warnings_of(episode, simulation, ended=ended))


def decide_on_failure(episode: Episode, message: str, stack: str, names: KnownFunctions) -> DecisionWithWarnings:
    """The actions of an orchestrator that raised still count; then the instance fails."""
    try:
        state = state_from_failure(message)
    except UnsupportedActionError as error:
        return DecisionWithWarnings(
            decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, str(error)))
        )
    if state is None:
        text = f"Result: Failure\nException: {message}\nStack: {stack}"
        return DecisionWithWarnings(
            decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, text))
        )
    return decide(episode, state, names)


def decide_on_result(episode: Episode, text: str, names: KnownFunctions) -> DecisionWithWarnings:
    try:
        state = state_from_json(text)
    except UnsupportedActionError as error:
        return DecisionWithWarnings(
            decision=OrchestratorDecision(outcome=orchestrator_failed(episode.instance.name, str(error)))
        )
    return decide(episode, state, names)
