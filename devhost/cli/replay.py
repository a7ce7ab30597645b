"""Does today's code still do what a recorded history says it did?"""

import asyncio
import json
import os
from pathlib import Path

from devhost.app.catalog import catalog_from_ready
from devhost.app.settings import host_settings, local_values, read_json, worker_environment
from devhost.cli.recording import Recording, recording_from_file
from devhost.console import show
from devhost.engine.model.commands import Completed, ContinuedAsNew, ExecutionOutcome, Failed
from devhost.engine.model.events import SCHEDULING_KINDS, EventKind, HistoryEvent
from devhost.engine.model.instances import RuntimeStatus
from devhost.engine.model.work_items import Episode
from devhost.protocol_v1.decision import (
    State,
    ending_of,
    orchestrator_failed,
    simulate,
    state_from_failure,
    state_from_json,
)
from devhost.protocol_v1.determinism import KIND_OF, described, find_complaint, name_of, scheduled_before
from devhost.protocol_v1.executor import WorkerExecutor
from devhost.supervisor.launcher import Command, launch
from devhost.supervisor.messages import Answer, Raised
from devhost.supervisor.supervisor import Supervisor, Watch

NOT_READ = SCHEDULING_KINDS | {EventKind.ORCHESTRATOR_COMPLETED, EventKind.COMPLETED, EventKind.TERMINATED}


def last_turn(recording: Recording) -> Episode:
    """The episode at which the recording ends, as the orchestrator saw it then."""
    events = recording.events
    begun = max(n for n, event in enumerate(events) if event.kind is EventKind.ORCHESTRATOR_STARTED)
    new = tuple(event for event in events[begun:] if event.kind not in NOT_READ)
    return Episode(instance=recording.instance, past_events=events[:begun], new_events=new)


def outcome(ending: ExecutionOutcome | None) -> tuple[RuntimeStatus, str | None]:
    match ending:
        case Completed():
            return RuntimeStatus.COMPLETED, ending.output
        case Failed():
            return RuntimeStatus.FAILED, ending.reason
        case ContinuedAsNew() | None:
            return RuntimeStatus.RUNNING, None


def recorded_outcome(events: tuple[HistoryEvent, ...]) -> tuple[RuntimeStatus, str | None]:
    end = next((event for event in events if event.kind is EventKind.COMPLETED), None)
    return (RuntimeStatus(end.status), end.result) if end and end.status else (RuntimeStatus.RUNNING, None)


def difference(recording: Recording, episode: Episode, state: State) -> str | None:
    """The first difference between the recording and what the code does now."""
    simulation = simulate(episode, state)
    before = scheduled_before(recording.events)
    recorded = recorded_outcome(recording.events)
    complaint = find_complaint(before, simulation.commands)
    if complaint is not None or simulation.suspended or recorded[0] is RuntimeStatus.TERMINATED:
        return complaint
    fresh = next((command for command in simulation.commands if command.id not in before), None)
    if fresh is not None:
        what = described(KIND_OF[type(fresh)], name_of(fresh))
        return f"The code schedules {what} with sequence ID {fresh.id}; the history has none."
    now = outcome(ending_of(state, simulation, recording.instance.name))
    return (
        None if now == recorded else f"The code comes to {now[0]} {now[1]}; the history to {recorded[0]} {recorded[1]}."
    )


def difference_from_answer(recording: Recording, episode: Episode, answer: Answer) -> str | None:
    """Raises ValueError, KeyError or UnsupportedActionError when the answer can't be read."""
    if not isinstance(answer, Raised):
        return difference(recording, episode, state_from_json(answer.text or ""))
    state = state_from_failure(answer.message)
    if state is not None:
        return difference(recording, episode, state)
    failed = orchestrator_failed(recording.instance.name, f"Result: Failure\nException: {answer.message}")
    return failed.reason


async def replay(recording: Recording, app: Path) -> str | None:
    """Raises AppFailedToLoadError or WorkerLostError."""
    command = Command(app=app, environment=worker_environment(app, local_values(app), os.environ))
    versions = host_settings(read_json(app / "host.json")).versions
    watch = Watch(started=lambda _: None, ready=lambda _, __: None, lost=lambda: None)
    supervisor = Supervisor(command=command, client="", watch=watch, timeout=None)
    catalog = catalog_from_ready(await supervisor.start(launch(command)), command.environment)
    executor = WorkerExecutor(supervisor=supervisor, catalog=lambda: catalog, versions=versions)
    try:
        episode, name = last_turn(recording), recording.instance.name
        function = catalog.orchestrators.get(name.lower())
        if function is None:
            return f"The app has no orchestrator '{name}' any more."
        answer = await executor.ask(function, episode)
        return difference_from_answer(recording, episode, answer)
    finally:
        await supervisor.stop()


def run_replay(path: Path, app: Path, *, as_json: bool) -> int:
    """Returns 0 when nothing differs, else 1. Raises OSError or BadRecordingError for the file."""
    recording = recording_from_file(path)
    found = asyncio.run(replay(recording, app.resolve()))
    if as_json:
        show(json.dumps({"instanceId": recording.instance.id, "deterministic": found is None, "difference": found}))
    else:
        show(found or f"The code does what the {len(recording.events)} events of '{recording.instance.id}' say.")
    return 0 if found is None else 1
