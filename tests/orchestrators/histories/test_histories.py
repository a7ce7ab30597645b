"""Can the current code continue every instance that an earlier release started?"""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from tests.orchestrators.durable_host import SCHEDULING, VERSION, Event, EventType, replay, scheduled, turns_of
from tests.orchestrators.histories.paths import LONG_PATHS, PATHS
from tests.orchestrators.histories.record import FOLDER, HISTORIES, record

FILES = sorted(HISTORIES.glob("*/*.json"))
CASES = [
    pytest.param(
        file,
        id=f"{file.parent.name}-{file.stem}",
        marks=[pytest.mark.slow] if file.stem in LONG_PATHS and file.parent.name != FOLDER else [],
    )
    for file in FILES
]


def has_only_grown(before: Any, now: Any) -> bool:
    """Tell whether `now` has all keys and values of `before`; it may have more."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return before == now
    old, new = cast("Event", before), cast("Event", now)
    return all(name in new and has_only_grown(value, new[name]) for name, value in old.items())


def identity_of(event: Event) -> tuple[int, int, str]:
    """Return the part of an event that the host compares."""
    return event["EventId"], event["EventType"], event.get("Name", "timer")


def wire_of(event: Event) -> Any:
    return json.loads(json.loads(event["Input"])[0]) if "Input" in event else event["FireAt"]


@pytest.mark.parametrize("file", CASES)
def test_a_recorded_history_is_replayed_without_a_difference(file: Path) -> None:
    before = json.loads(file.read_text(encoding="utf-8"))
    completed = 0
    for handed, left in turns_of(before["history"]):
        state = replay(before["input"], handed)
        was = [event for event in left if event["EventType"] in SCHEDULING]
        now = scheduled(state, handed)
        assert [identity_of(event) for event in now] == [identity_of(event) for event in was]
        ended = [event for event in left if event["EventType"] == EventType.EXECUTION_COMPLETED]
        assert state["isDone"] == bool(ended)
        completed += len(ended)
        assert all(
            has_only_grown(json.loads(event["Result"]), state["output"]) for event in ended
        )  # may be empty: most episodes end no turn
        tasks = [(wire_of(one), wire_of(other)) for one, other in zip(was, now, strict=True) if "Input" in one]
        assert all(has_only_grown(one, other) for one, other in tasks)  # may be empty: a timer has no input
    assert completed == 1


def test_every_path_is_recorded() -> None:
    assert {file.stem for file in FILES if file.parent.name == FOLDER} >= set(PATHS)


def test_new_instances_get_the_version_whose_histories_are_recorded() -> None:
    settings = json.loads((Path(__file__).parents[3] / "host.json").read_text(encoding="utf-8"))
    assert settings["extensions"]["durableTask"]["defaultVersion"] == VERSION


@pytest.mark.slow
def test_a_recorded_history_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "answered.json").write_text("as it was", encoding="utf-8")
    record(tmp_path)
    assert (tmp_path / "answered.json").read_text(encoding="utf-8") == "as it was"
    assert {file.stem for file in tmp_path.iterdir()} == set(PATHS)


@pytest.mark.parametrize(
    ("before", "now", "holds"),
    [({"a": 1}, {"a": 1, "b": 2}, True), ({"a": {"b": 1}}, {"a": {"b": 2}}, False), ({"a": 1}, {}, False)],
)
def test_a_wire_grows_and_never_shrinks(before: Any, now: Any, *, holds: bool) -> None:
    assert has_only_grown(before, now) is holds
