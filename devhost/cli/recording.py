"""How is the whole history of an instance stored in a file?"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost.engine.model.events import HistoryEvent, event_from_json, event_to_json
from devhost.engine.model.instances import OrchestrationInstance, RuntimeStatus
from devhost.engine.storage.store import TaskHubStore


class InvalidRecordingError(Exception):
    """The file is not a recording; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRecording:
    instance: OrchestrationInstance
    events: tuple[HistoryEvent, ...]


def read_recording(store: TaskHubStore, instance: str) -> HistoryRecording | None:
    try:
        found = store.get(instance)
        return None if found is None else HistoryRecording(instance=found, events=tuple(store.history(instance)))
    finally:
        store.database.close()


def recording_to_json(recording: HistoryRecording) -> str:
    one = recording.instance
    wire = {"id": one.id, "execution": one.execution, "name": one.name, "status": one.status, "input": one.input}
    events = [json.loads(event_to_json(event)) for event in recording.events]
    return json.dumps(wire | {"events": events}, indent=2, ensure_ascii=False)


def recording_from_file(path: Path) -> HistoryRecording:
    """Raises InvalidRecordingError."""
    try:
        wire: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        events = tuple(event_from_json(json.dumps(event)) for event in wire.pop("events"))
        wire["status"] = RuntimeStatus(wire["status"])
        instance = OrchestrationInstance(**wire, created=events[0].at, updated=events[-1].at)
    except OSError as error:
        raise InvalidRecordingError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        text = f"{path} is not a recording of `devhost history ID --full`: {type(error).__name__}: {error}"
        raise InvalidRecordingError(text) from None
    return HistoryRecording(instance=instance, events=events)
