"""Are the values of the engine the same after they were stored, and is each query answered by its conditions?"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.engine.model.events import HistoryEvent, HistoryEventKind, ParentInstance
from devhost.engine.model.instances import InstanceQuery, OrchestrationInstance, OrchestrationStart, RuntimeStatus
from devhost.engine.storage.database import connect
from devhost.engine.storage.maintenance import purge_matching
from devhost.engine.storage.rows import find_instance, is_id_free
from devhost.engine.storage.store import TaskHubStore

PARENT = ParentInstance(instance="p", execution="e", task=8, name="parent")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TaskHubStore]:
    database = connect(tmp_path / "hub.db")
    yield TaskHubStore(database)
    database.close()


def begin(store: TaskHubStore, name: str, at: float, status: RuntimeStatus = RuntimeStatus.PENDING) -> None:
    store.start(OrchestrationStart(id=name, execution="e", name="o", at=at))
    store.database.execute("UPDATE instances SET status = ? WHERE id = ?", (status, name))


def test_an_instance_comes_back_as_it_was_started(store: TaskHubStore) -> None:
    store.start(
        OrchestrationStart(
            id="i", execution="e", name="o", at=7.5, input='"ä"', version="2", trace="00-1", parent=PARENT
        )
    )
    assert find_instance(store.database, "i") == OrchestrationInstance(
        id="i",
        execution="e",
        name="o",
        status=RuntimeStatus.PENDING,
        created=7.5,
        updated=7.5,
        version="2",
        input='"ä"',
        trace="00-1",
        parent=PARENT,
    )
    assert find_instance(store.database, "j") is None


@pytest.mark.parametrize("status", RuntimeStatus)
def test_the_id_of_an_instance_is_free_when_it_has_ended(store: TaskHubStore, status: RuntimeStatus) -> None:
    begin(store, "i", 1.0, status)
    ended = {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.TERMINATED}
    assert is_id_free(store.get("i")) is (status in ended)
    assert is_id_free(None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (InstanceQuery(), ["a-1", "b-1", "a-2", "a_3"]),
        (InstanceQuery(created_from=20.0), ["b-1", "a-2", "a_3"]),
        (InstanceQuery(created_to=20.0), ["a-1", "b-1", "a-2"]),
        (InstanceQuery(created_to=0.0), []),
        (InstanceQuery(created_from=0.0), ["a-1", "b-1", "a-2", "a_3"]),
        (InstanceQuery(prefix="a-"), ["a-1", "a-2"]),
        (InstanceQuery(statuses=frozenset({RuntimeStatus.FAILED})), ["a-2"]),
        (InstanceQuery(statuses=frozenset({RuntimeStatus.FAILED, RuntimeStatus.PENDING})), ["a-1", "a-2", "a_3"]),
        (InstanceQuery(after=(20.0, "a-2")), ["b-1", "a_3"]),
        (InstanceQuery(after=(10.0, "a-1"), limit=1), ["a-2"]),
    ],
)
def test_each_condition_of_a_query_leaves_out_what_does_not_meet_it(
    store: TaskHubStore, query: InstanceQuery, found: list[str]
) -> None:
    begin(store, "a-1", 10.0)
    begin(store, "b-1", 20.0, RuntimeStatus.COMPLETED)
    begin(store, "a-2", 20.0, RuntimeStatus.FAILED)
    begin(store, "a_3", 30.0)
    assert sorted(each.id for each in store.query(query)) == sorted(found)


def test_nothing_that_began_after_the_epoch_is_removed_with_what_began_until_then(store: TaskHubStore) -> None:
    begin(store, "i", 10.0, RuntimeStatus.COMPLETED)
    assert purge_matching(store, InstanceQuery(created_to=0.0)) == []
    assert purge_matching(store, InstanceQuery(created_to=10.0)) == ["i"]
    assert store.get("i") is None


def test_a_removed_instance_leaves_no_message_behind(store: TaskHubStore) -> None:
    begin(store, "i", 10.0)
    store.send("i", HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=11.0, name="go"))
    store.database.execute("UPDATE instances SET status = ?", (RuntimeStatus.FAILED,))
    store.purge("i")
    assert store.database.execute("SELECT COUNT(*) FROM inbox").fetchone() == (0,)
