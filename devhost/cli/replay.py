"""Does the current code still produce a recorded history?"""

import asyncio
import json
import os
from pathlib import Path

from devhost.app.catalog import catalog_from_worker
from devhost.app.settings import host_settings, local_values, read_json, worker_environment
from devhost.cli.recording import HistoryRecording, recording_from_file
from devhost.console import write
from devhost.engine.model.commands import Completed, ContinuedAsNew, ExecutionOutcome, Failed
from devhost.engine.model.events import SCHEDULING_KINDS, HistoryEvent, HistoryEventKind
from devhost.engine.model.instances import RuntimeStatus
from devhost.engine.model.work_items import Episode
from devhost.protocol_v1.decision import (
    OrchestratorState,
    execution_outcome,
    orchestrator_failed,
    simulate,
    state_from_failure,
    state_from_json,
)
from devhost.protocol_v1.executor import WorkerExecutor
from devhost.protocol_v1.replay.determinism import KIND_OF, describe_task, find_mismatch, name_of, scheduled_before
from devhost.supervisor.launcher import WorkerCommand, launch_worker
from devhost.supervisor.messages import FunctionRaised, InvocationResult
from devhost.supervisor.supervisor import Supervisor, WorkerObserver

UNREAD_KINDS = SCHEDULING_KINDS | {
    HistoryEventKind.ORCHESTRATOR_COMPLETED,
    HistoryEventKind.COMPLETED,
    HistoryEventKind.TERMINATED,
}


def last_episode(recording: HistoryRecording) -> Episode:
    """The last episode of the recording, as the orchestrator received it."""
    events = recording.events
    begun = max(n for n, event in enumerate(events) if event.kind is HistoryEventKind.ORCHESTRATOR_STARTED)
    new = tuple(event for event in events[begun:] if event.kind not in UNREAD_KINDS)
    return Episode(instance=recording.instance, past_events=events[:begun], new_events=new)


def status_and_output(ending: ExecutionOutcome | None) -> tuple[RuntimeStatus, str | None]:
    match ending:
        case Completed():
            return RuntimeStatus.COMPLETED, ending.output
        case Failed():
            return RuntimeStatus.FAILED, ending.reason
        case ContinuedAsNew() | None:
            return RuntimeStatus.RUNNING, None


def recorded_status_and_output(events: tuple[HistoryEvent, ...]) -> tuple[RuntimeStatus, str | None]:
    end = next((event for event in events if event.kind is HistoryEventKind.COMPLETED), None)
    return (RuntimeStatus(end.status), end.result) if end and end.status else (RuntimeStatus.RUNNING, None)


def find_difference(recording: HistoryRecording, episode: Episode, state: OrchestratorState) -> str | None:
    """Returns the first difference between the recording and the current code, or None."""
    simulation = simulate(episode, state)
    before = scheduled_before(recording.events)
    recorded = recorded_status_and_output(recording.events)
    complaint = find_mismatch(before, simulation.commands)
    if complaint is not None or simulation.suspended or recorded[0] is RuntimeStatus.TERMINATED:
        return complaint
    new_command = next((command for command in simulation.commands if command.id not in before), None)
    if new_command is not None:
        what = describe_task(KIND_OF[type(new_command)], name_of(new_command))
        return f"The code schedules {what} with sequence ID {new_command.id}, which the history does not contain."
    now = status_and_output(execution_outcome(state, simulation, recording.instance.name))
    return (
        None
        if now == recorded
        else f"The code ends with {now[0]} {now[1]}, but the history ends with {recorded[0]} {recorded[1]}."
    )


def difference_from_result(recording: HistoryRecording, episode: Episode, result: InvocationResult) -> str | None:
    """Raises ValueError, KeyError or UnsupportedActionError if the result can't be parsed."""
    if not isinstance(result, FunctionRaised):
        return find_difference(recording, episode, state_from_json(result.text or ""))
    state = state_from_failure(result.message)
    if state is not None:
        return find_difference(recording, episode, state)
    failed = orchestrator_failed(recording.instance.name, f"Result: Failure\nException: {result.message}")
    return failed.reason


async def replay(recording: HistoryRecording, app: Path) -> str | None:
    """Raises AppFailedToLoadError or WorkerLostError."""
    command = WorkerCommand(app=app, environment=worker_environment(app, local_values(app), os.environ))
    versions = host_settings(read_json(app / "host.json")).versions
    observer = WorkerObserver(started=lambda _: None, ready=lambda _, __: None, lost=lambda: None)
    supervisor = Supervisor(command=command, client="", observer=observer, timeout=None)
    catalog = catalog_from_worker(await supervisor.start(launch_worker(command)), command.environment)
    executor = WorkerExecutor(supervisor=supervisor, catalog=lambda: catalog, versions=versions)
    try:
        episode, name = last_episode(recording), recording.instance.name
        function = catalog.orchestrators.get(name.lower())
        if function is None:
            return f"The app no longer has an orchestrator '{name}'."
        result = await executor.send_episode(function, episode)
        return difference_from_result(recording, episode, result)
    finally:
        await supervisor.stop()


def run_replay(path: Path, app: Path, *, as_json: bool) -> int:
    """Returns 0 if there is no difference, otherwise 1. Raises InvalidRecordingError for the file."""
    recording = recording_from_file(path)
    found = asyncio.run(replay(recording, app.resolve()))
    if as_json:
        write(json.dumps({"instanceId": recording.instance.id, "deterministic": found is None, "difference": found}))
    else:
        write(found or f"The code agrees with the {len(recording.events)} events of '{recording.instance.id}'.")
    return 0 if found is None else 1
