"""Which instances are rewound with their children, and which are removed?"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.engine.model.events import HistoryEvent, HistoryEventKind, event_to_json
from devhost.engine.model.instances import (
    InstanceNotFailedError,
    InstanceNotFoundError,
    InstanceQuery,
    OrchestrationStart,
    RuntimeStatus,
)
from devhost.engine.storage.database import connect
from devhost.engine.storage.maintenance import purge_matching, rewind
from devhost.engine.storage.store import TaskHubStore

KIND = HistoryEventKind
AT = 1.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TaskHubStore]:
    database = connect(tmp_path / "hub.db")
    yield TaskHubStore(database)
    database.close()


def event(kind: HistoryEventKind, *, id: int = -1, task: int = -1, instance: str | None = None) -> HistoryEvent:  # noqa: A002 - the event's own name
    return HistoryEvent(kind=kind, at=AT, id=id, task=task, instance=instance)


def stored(store: TaskHubStore, name: str, status: RuntimeStatus, *history: HistoryEvent) -> None:
    store.start(OrchestrationStart(id=name, execution="e", name="o", at=AT))
    store.database.execute("UPDATE instances SET status = ?, output = 'boom' WHERE id = ?", (status, name))
    rows = [(name, number, event_to_json(each)) for number, each in enumerate(history)]
    store.database.executemany("INSERT INTO history (instance, seq, event) VALUES (?, ?, ?)", rows)


def of_child(child: str) -> tuple[HistoryEvent, ...]:
    """Return the history of a parent whose child has failed."""
    return (
        event(KIND.STARTED),
        event(KIND.CHILD_CREATED, id=0, instance=child),
        event(KIND.CHILD_FAILED, task=0),
        event(KIND.COMPLETED),
    )


FAILED_STEP = (event(KIND.STARTED), event(KIND.ACTIVITY_SCHEDULED, id=0), event(KIND.ACTIVITY_FAILED, task=0))


def kinds(store: TaskHubStore, name: str) -> list[HistoryEventKind]:
    return [each.kind for each in store.history(name)]


def test_a_failed_child_is_rewound_with_its_parent(store: TaskHubStore) -> None:
    stored(store, "parent", RuntimeStatus.FAILED, *of_child("child"))
    stored(store, "child", RuntimeStatus.FAILED, *FAILED_STEP, event(KIND.COMPLETED))
    assert rewind(store, "parent", "repaired", 2.0) == ["parent", "child"]
    assert (kinds(store, "parent"), kinds(store, "child")) == ([KIND.STARTED, KIND.CHILD_CREATED], [KIND.STARTED])
    for name in ("parent", "child"):
        found = store.get(name)
        assert found is not None
        assert (found.status, found.output, found.updated) == (RuntimeStatus.RUNNING, None, 2.0)


@pytest.mark.parametrize("status", [RuntimeStatus.TERMINATED, None])
def test_a_child_that_cannot_be_rewound_starts_again(store: TaskHubStore, status: RuntimeStatus | None) -> None:
    stored(store, "parent", RuntimeStatus.FAILED, *of_child("child"))
    if status:
        stored(store, "child", status, *FAILED_STEP)
    assert rewind(store, "parent", "repaired", 2.0) == ["parent"]
    assert kinds(store, "parent") == [KIND.STARTED]


def test_only_a_failed_instance_is_rewound(store: TaskHubStore) -> None:
    stored(store, "i", RuntimeStatus.COMPLETED, *FAILED_STEP)
    with pytest.raises(InstanceNotFailedError):
        rewind(store, "i", "", 2.0)
    with pytest.raises(InstanceNotFoundError):
        rewind(store, "nobody", "", 2.0)
    assert len(store.history("i")) == len(FAILED_STEP)


def test_only_ended_instances_are_removed(store: TaskHubStore) -> None:
    for status in RuntimeStatus:
        stored(store, status.value, status)
    removed = set(purge_matching(store, InstanceQuery()))
    assert removed == {"Completed", "Failed", "Terminated"}
    assert {each.id for each in store.query(InstanceQuery())} == {"Pending", "Running", "Suspended"}
