"""Which events remain when an instance runs again?"""

from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.rewind import plan_rewind


def scheduled(number: int, kind: HistoryEventKind = HistoryEventKind.ACTIVITY_SCHEDULED) -> HistoryEvent:
    return HistoryEvent(kind=kind, at=0.0, id=number)


def event(kind: HistoryEventKind, task: int = -1) -> HistoryEvent:
    return HistoryEvent(kind=kind, at=0.0, task=task)


def test_a_rewound_history_keeps_what_worked_and_forgets_the_last_failure() -> None:
    worked = [scheduled(0), event(HistoryEventKind.ACTIVITY_COMPLETED, 0)]
    failed = [scheduled(1), event(HistoryEventKind.ACTIVITY_FAILED, 1), event(HistoryEventKind.COMPLETED)]
    assert plan_rewind([*worked, *failed]).kept == tuple(worked)


def test_a_rewound_history_keeps_the_attempts_before_the_last_and_forgets_the_timer_after_it() -> None:
    first = [scheduled(0), event(HistoryEventKind.ACTIVITY_FAILED, 0)]
    waited = [scheduled(1, HistoryEventKind.TIMER_CREATED), event(HistoryEventKind.TIMER_FIRED, 1)]
    second = [scheduled(2), event(HistoryEventKind.ACTIVITY_FAILED, 2)]
    after = [scheduled(3, HistoryEventKind.TIMER_CREATED), event(HistoryEventKind.TIMER_FIRED, 3)]
    history = [*first, *waited, *second, *after, event(HistoryEventKind.COMPLETED)]
    assert plan_rewind(history).kept == (*first, *waited)


def test_an_instance_that_failed_by_itself_keeps_all_but_its_end() -> None:
    worked = [scheduled(0), event(HistoryEventKind.ACTIVITY_COMPLETED, 0)]
    assert plan_rewind([*worked, event(HistoryEventKind.COMPLETED)]).kept == tuple(worked)
