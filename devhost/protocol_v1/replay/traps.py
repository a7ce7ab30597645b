"""Which known traps of the Durable SDK 1.x has this orchestrator fallen into? Each one costs its users days.

The warnings follow from the SDK's source, azure-functions-durable 1.7.0: `TaskOrchestrationExecutor.set_task_value`
(events), `LongTimerTask.cancel` (timers).
"""

from collections.abc import Iterator

from devhost.engine.model.commands import StartTimer
from devhost.engine.model.events import HistoryEventKind
from devhost.engine.model.work_items import Episode
from devhost.protocol_v1.actions import Action, CreateTimer, WhenAll, WhenAny, find_desynchronising_call
from devhost.protocol_v1.replay.simulation import Simulation

LEAST_HOP_S = 3.0 * 24 * 3600 - 60.0


def warnings_of(episode: Episode, simulation: Simulation, *, ended: bool) -> tuple[str, ...]:
    """`ended` tells that the orchestrator has returned or raised."""
    name = f"orchestrator '{episode.instance.name}'"
    found = [*compound_warnings(name, simulation), *event_warnings(name, simulation)]
    if ended and has_open_long_timer(episode, simulation):
        found.append(
            f"{name} ({episode.instance.id}) has returned but stays Running: SDK 1.x can't cancel a timer of more than "
            "six days. Wait in a loop of shorter timers instead."
        )
    if not (ended or simulation.is_waiting):
        found.append(
            f"{name} ({episode.instance.id}) waits for something that this host does not know, and cannot continue"
        )
    return tuple(found)


def compound_warnings(name: str, simulation: Simulation) -> Iterator[str]:
    hazard = find_desynchronising_call(simulation.actions)
    if hazard is not None:
        yield (
            f"{name} calls '{hazard}' with retry options inside task_any or task_all: "
            "if the compound ends first, SDK and host number later tasks differently, and the instance can hang or "
            "mix up results. Retry inside the activity or in a sub-orchestrator."
        )
    if simulation.polls:
        yield (
            f"{name}: call_http received a 202, and the host polls for the result. "
            "SDK 1.x does not support polling: it uses the 202 as the result and numbers later tasks differently."
        )


def event_warnings(name: str, simulation: Simulation) -> Iterator[str]:
    """The SDK keeps one early event per name, the last, and answers every later wait for the name with it."""
    for event in sorted(simulation.lost_events):
        yield (
            f"{name} received several events '{event}' before it waited for them: SDK 1.x keeps only the last one. "
            "Use one name for each event, or wait before the events are raised."
        )
    for event in sorted(simulation.answered_again - simulation.lost_events):
        yield (
            f"{name} waits for '{event}' again after an event that came before its wait: SDK 1.x answers with the old "
            "event. Use one name for each event, or continue as new after each."
        )
    if simulation.continued_as_new is not None:
        for event in sorted(event for event, unread in simulation.early_events.items() if unread):
            yield (
                f"{name} continues as new with unread events '{event}', which are lost. Wait for them before, or send "
                "them after the new execution has begun."
            )


def has_open_long_timer(episode: Episode, simulation: Simulation) -> bool:
    """The SDK sends a timer of more than six days as a compound with one timer, three days ahead."""
    created = {event.id: event.at for event in episode.past_events if event.kind is HistoryEventKind.TIMER_CREATED}
    hops = {timer.fire_at for timer in timers_alone(simulation.actions)}
    return any(
        command.fire_at in hops and command.fire_at - created.get(command.id, simulation.now) >= LEAST_HOP_S
        for command in simulation.commands
        if isinstance(command, StartTimer) and command.id in simulation.open_tasks
    )


def timers_alone(actions: tuple[Action, ...]) -> Iterator[CreateTimer]:
    """The timers that are the only part of their compound."""
    for action in actions:
        match action:
            case WhenAll(children=(CreateTimer() as timer,)):
                yield timer
            case WhenAll() | WhenAny():
                yield from timers_alone(action.children)
            case _:
                pass
