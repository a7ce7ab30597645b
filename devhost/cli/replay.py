"""Does today's code still do what a recorded history says it did?"""

import asyncio
import json
import os
from pathlib import Path

from devhost.app.catalog import catalog_from_ready
from devhost.app.settings import host_settings, local_values, read_json, worker_environment
from devhost.cli.recording import Recording, recording_from_file
from devhost.console import show
from devhost.engine.model.commands import Completed, ContinuedAsNew, Ending, Failed
from devhost.engine.model.events import SCHEDULING, Event, Kind
from devhost.engine.model.instances import Status
from devhost.engine.model.work_items import Turn
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

NOT_READ = SCHEDULING | {Kind.TURN_COMPLETED, Kind.COMPLETED, Kind.TERMINATED}


def last_turn(recording: Recording) -> Turn:
    """The turn at which the recording ends, as the orchestrator saw it then."""
    events = recording.events
    begun = max(n for n, event in enumerate(events) if event.kind is Kind.TURN_STARTED)
    new = tuple(event for event in events[begun:] if event.kind not in NOT_READ)
    return Turn(instance=recording.instance, past=events[:begun], new=new)


def outcome(ending: Ending | None) -> tuple[Status, str | None]:
    match ending:
        case Completed():
            return Status.COMPLETED, ending.output
        case Failed():
            return Status.FAILED, ending.reason
        case ContinuedAsNew() | None:
            return Status.RUNNING, None


def recorded_outcome(events: tuple[Event, ...]) -> tuple[Status, str | None]:
    end = next((event for event in events if event.kind is Kind.COMPLETED), None)
    return (Status(end.status), end.result) if end and end.status else (Status.RUNNING, None)


def difference(recording: Recording, turn: Turn, state: State) -> str | None:
    """The first difference between the recording and what the code does now."""
    simulation = simulate(turn, state)
    before = scheduled_before(recording.events)
    recorded = recorded_outcome(recording.events)
    complaint = find_complaint(before, simulation.commands)
    if complaint is not None or simulation.suspended or recorded[0] is Status.TERMINATED:
        return complaint
    fresh = next((command for command in simulation.commands if command.id not in before), None)
    if fresh is not None:
        what = described(KIND_OF[type(fresh)], name_of(fresh))
        return f"The code schedules {what} with sequence ID {fresh.id}; the history has none."
    now = outcome(ending_of(state, simulation, recording.instance.name))
    return (
        None if now == recorded else f"The code comes to {now[0]} {now[1]}; the history to {recorded[0]} {recorded[1]}."
    )


def difference_from_answer(recording: Recording, turn: Turn, answer: Answer) -> str | None:
    """Raises ValueError, KeyError or UnsupportedActionError when the answer can't be read."""
    if not isinstance(answer, Raised):
        return difference(recording, turn, state_from_json(answer.text or ""))
    state = state_from_failure(answer.message)
    if state is not None:
        return difference(recording, turn, state)
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
        turn, name = last_turn(recording), recording.instance.name
        function = catalog.orchestrators.get(name.lower())
        if function is None:
            return f"The app has no orchestrator '{name}' any more."
        answer = await executor.ask(function, turn)
        return difference_from_answer(recording, turn, answer)
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
