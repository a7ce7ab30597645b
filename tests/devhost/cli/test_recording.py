"""Is a recorded history the same when it is read, and a file that is none named?"""

import json
from pathlib import Path

import pytest

from devhost.cli.recording import InvalidRecordingError, read_recording, recording_from_file, recording_to_json
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.instances import OrchestrationStart
from devhost.engine.storage.database import connect
from devhost.engine.storage.rows import insert_message
from devhost.engine.storage.store import TaskHubStore

EVENT = {"kind": "turn_started", "at": 1.0}
RECORDING = {"id": "i", "execution": "e", "name": "o", "status": "Running", "input": None, "events": [EVENT]}


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path / "recording.json", RECORDING)
    found = recording_from_file(path)
    assert found.events == (HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=1.0),)
    assert (found.instance.id, found.instance.created, found.instance.updated) == ("i", 1.0, 1.0)
    written(path, recording_to_json(found))
    assert recording_from_file(path) == found


def test_the_whole_history_of_an_instance_is_recorded(tmp_path: Path) -> None:
    database = connect(tmp_path / "hub.db")
    store = TaskHubStore(database)
    store.start(OrchestrationStart(id="i", execution="e", name="ö", at=1.0, input='"ä"'))
    event = HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=2.0, name="go", input='"€"')
    insert_message(database, "i", event)
    found = read_recording(store, "i")
    assert found is not None
    assert (found.instance.name, found.instance.input, found.events) == ("ö", '"ä"', ())
    assert "ö" in recording_to_json(found)


def test_an_unknown_instance_has_no_recording(tmp_path: Path) -> None:
    assert read_recording(TaskHubStore(connect(tmp_path / "hub.db")), "nobody") is None


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        [],
        {},
        {**RECORDING, "events": []},
        {**RECORDING, "events": [{"at": 1.0}]},
        {**RECORDING, "events": [{"kind": "slept", "at": 1.0}]},
        {**RECORDING, "status": "Asleep"},
        {**RECORDING, "colour": "red"},
    ],
)
def test_a_file_that_is_no_recording_is_named(content: object, tmp_path: Path) -> None:
    path = written(tmp_path / "recording.json", content)
    with pytest.raises(
        InvalidRecordingError, match=r"recording\.json is not a recording of `devhost history ID --full`"
    ):
        recording_from_file(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRecordingError, match=r"nowhere\.json cannot be read: No such file or directory"):
        recording_from_file(tmp_path / "nowhere.json")
