"""Does the report say which run wrote which events, and where one took over?"""

from api.rendering.attempt_runs import attempt_runs
from domain.log.events import AttemptOutcome, EventKind, LogEvent, Slot

WORD = LogEvent(kind=EventKind.TEXT, text="one ")


def slot(number: int, writer: str, first: int, events: int, *, outcome: AttemptOutcome | None = None) -> Slot:
    at = 100.0 + number
    return Slot(number=number, writer=writer, first=first, at=at, events=(WORD,) * events, outcome=outcome)


DONE = AttemptOutcome(attempt=1, result="done")


def test_a_run_that_died_was_taken_over() -> None:
    slots = [
        slot(0, "admission:resp", 0, 1),
        slot(1, "infer:a", 1, 0),
        slot(2, "infer:a", 1, 3),
        slot(5, "infer:b", 4, 0),
        slot(6, "infer:b", 4, 2, outcome=DONE),
        slot(7, "finish:c", 6, 1),
    ]
    died, ended = attempt_runs(slots)
    assert died == {
        "began_at": 101.0,
        "last_at": 102.0,
        "first_event": 1,
        "last_event": 3,
        "taken_over_at": 105.0,
        "lost_s": 3.0,
    }
    assert (ended["first_event"], ended["last_event"], ended["taken_over_at"], ended["lost_s"]) == (4, 5, None, None)


def test_an_attempt_after_one_that_failed_takes_over_nothing() -> None:
    slots = [slot(0, "infer:a", 0, 0, outcome=DONE), slot(1, "infer:b", 0, 1, outcome=DONE)]
    assert [run["taken_over_at"] for run in attempt_runs(slots)] == [None, None]
    assert [run["first_event"] for run in attempt_runs(slots)] == [None, 0]


def test_a_turn_that_waits_has_no_run() -> None:
    assert attempt_runs([slot(0, "admission:resp", 0, 1)]) == []
