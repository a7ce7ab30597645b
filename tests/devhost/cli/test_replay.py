"""Is a change of code found in a recorded history?"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.cli.recording import HistoryRecording
from devhost.cli.replay import find_difference, last_episode, recorded_status_and_output
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.instances import OrchestrationInstance, RuntimeStatus
from devhost.protocol_v1.decision import OrchestratorState, state_from_json
from tests.devhost.hosts import APPS, Durable, RunningHost, devhost, output_of, running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("tool")
    with running("durable", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def replayed(recording: Path, app: Path) -> subprocess.CompletedProcess[str]:
    return devhost("replay", str(recording), "--app", str(app))


@pytest.mark.parametrize("name", ["chain", "uncaught", "waits", "retried_then_more"])
def test_a_recorded_history_agrees_with_the_code_that_wrote_it(
    host: RunningHost, durable: Durable, tmp_path: Path, name: str
) -> None:
    instance = durable.start(name, ["a"])
    if name == "waits":
        durable.wait_custom(instance, "waiting")
    else:
        durable.wait(instance)
    recording = tmp_path / "recording.json"
    recording.write_text(output_of(host, "history", instance, "--full"), encoding="utf-8")
    ended = replayed(recording, APPS / "durable")
    assert "The code agrees with" in ended.stdout, ended.stdout + ended.stderr
    assert ended.returncode == 0


def changed_app(folder: Path, old: str, new: str) -> Path:
    source = (APPS / "durable" / "function_app.py").read_text(encoding="utf-8")
    assert old in source
    folder.mkdir()
    (folder / "function_app.py").write_text(source.replace(old, new), encoding="utf-8")
    return folder


def test_changed_code_is_reported_with_its_first_difference(
    host: RunningHost, durable: Durable, tmp_path: Path
) -> None:
    durable.run("uncaught", instance="recorded")
    recording = tmp_path / "recording.json"
    recording.write_text(output_of(host, "history", "recorded", "--full"), encoding="utf-8")
    other = changed_app(tmp_path / "other", 'call_activity("boom", "u")', 'call_activity("echo", "u")')
    ended = replayed(recording, other)
    assert ended.returncode == 1
    assert "Non-Deterministic workflow detected" in ended.stdout
    gone = changed_app(tmp_path / "gone", "def uncaught(", "def caught_now(")
    assert "The app no longer has an orchestrator 'uncaught'." in replayed(recording, gone).stdout


def test_a_file_that_is_not_a_recording_is_named(tmp_path: Path) -> None:
    recording = tmp_path / "recording.json"
    recording.write_text("[]", encoding="utf-8")
    ended = replayed(recording, APPS / "durable")
    assert ended.returncode == 1
    assert f"devhost: {recording} is not a recording of `devhost history ID --full`" in ended.stderr


AT = 1.0


def scheduled(number: int, name: str) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.ACTIVITY_SCHEDULED, at=AT, id=number, name=name, input='"a"')


def recorded(*events: HistoryEvent) -> HistoryRecording:
    """Return the recording of an instance that asked for one activity, whose episodes end with these events."""
    instance = OrchestrationInstance(
        id="i", execution="e", name="o", status=RuntimeStatus.RUNNING, created=AT, updated=AT
    )
    began = HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=AT)
    over = HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_COMPLETED, at=AT)
    started = HistoryEvent(kind=HistoryEventKind.STARTED, at=AT, name="o", instance="i", execution="e")
    return HistoryRecording(
        instance=instance, events=(began, started, scheduled(0, "echo"), over, began, *events, over)
    )


DONE = HistoryEvent(kind=HistoryEventKind.ACTIVITY_COMPLETED, at=AT, task=0, result='"a"')
COMPLETED = HistoryEvent(kind=HistoryEventKind.COMPLETED, at=AT, status="Completed", result='"a"')


def state(*names: str, output: str | None = None) -> OrchestratorState:
    """Return what an orchestrator answers that calls these activities one after the other."""
    actions = [[{"actionType": 0, "functionName": name, "input": '"a"'} for name in names]]
    body = {"isDone": output is not None, "actions": actions, "output": output, "schemaVersion": 1}
    return state_from_json(json.dumps(body))


def difference(recording: HistoryRecording, answered: OrchestratorState) -> str | None:
    return find_difference(recording, last_episode(recording), answered)


def test_the_last_episode_has_the_events_that_the_orchestrator_received() -> None:
    episode = last_episode(recorded(DONE, COMPLETED))
    assert [event.kind for event in episode.new_events] == [
        HistoryEventKind.ORCHESTRATOR_STARTED,
        HistoryEventKind.ACTIVITY_COMPLETED,
    ]
    assert len(episode.past_events) == 4


def test_code_that_does_what_was_recorded_does_not_differ() -> None:
    assert difference(recorded(DONE, COMPLETED), state("echo", output="a")) is None
    assert difference(recorded(DONE, scheduled(1, "echo")), state("echo", "echo")) is None


@pytest.mark.parametrize(
    ("recording", "answered", "told"),
    [
        (recorded(DONE, COMPLETED), state("boom", output="a"), "Non-Deterministic workflow detected"),
        (recorded(DONE), state("echo", "boom"), "schedules"),
        (recorded(DONE, COMPLETED), state("echo", output="b"), 'The code ends with Completed "b", but the history'),
        (
            recorded(DONE, COMPLETED),
            state("echo"),
            "The code ends with Running None, but the history ends with Completed",
        ),
        (recorded(DONE), state("echo", output="a"), "but the history ends with Running None"),
    ],
)
def test_the_first_difference_is_told(recording: HistoryRecording, answered: OrchestratorState, told: str) -> None:
    found = difference(recording, answered)
    assert found is not None
    assert told in found


def test_an_instance_that_was_terminated_may_have_ended_anywhere() -> None:
    ended = HistoryEvent(kind=HistoryEventKind.COMPLETED, at=AT, status="Terminated", result="enough")
    assert difference(recorded(ended), state("echo")) is None
    assert recorded_status_and_output(recorded(ended).events) == (RuntimeStatus.TERMINATED, "enough")
