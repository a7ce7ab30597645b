"""Which ids do actions get, and when has a program ended?"""

from typing import Any

from devhost.engine.model.commands import (
    CallEntity,
    RunActivity,
    SchedulingCommand,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.protocol_v1.actions import actions_from_wire, find_desynchronising_call
from devhost.protocol_v1.replay.simulation import Simulation

RETRY = {"firstRetryIntervalInMilliseconds": 1000, "maxNumberOfAttempts": 2}
BACK_OFF = RETRY | {"maxNumberOfAttempts": 4, "backoffCoefficient": 2, "maxRetryIntervalInMilliseconds": 3000}


def call(name: str) -> dict[str, Any]:
    return {"actionType": 0, "functionName": name, "input": "null"}


def call_with_retry(name: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    action = {"actionType": 1, "functionName": name, "input": "null", "retryOptions": options or RETRY}
    return {"actionType": 12, "compoundActions": [action]}


def timer(at: str = "2026-11-22T10:00:00Z", *, cancelled: bool = False) -> dict[str, Any]:
    return {"actionType": 5, "fireAt": at, "isCanceled": cancelled}


def wait(name: str) -> dict[str, Any]:
    return {"actionType": 6, "externalEventName": name, "reason": "ExternalEvent"}


def all_of(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"actionType": 12, "compoundActions": list(actions)}


def any_of(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"actionType": 11, "compoundActions": list(actions)}


def episode(at: float = 100.0) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=at)


def began() -> tuple[HistoryEvent, HistoryEvent]:
    return episode(), HistoryEvent(kind=HistoryEventKind.STARTED, at=100.0, name="o")


def done(task: int, result: str | None = None) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.ACTIVITY_COMPLETED, at=0.0, task=task, result=result)


def failed(task: int) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.ACTIVITY_FAILED, at=0.0, task=task)


def fired(task: int) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.TIMER_FIRED, at=0.0, task=task)


def raised(name: str) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=0.0, name=name, input="1")


def simulated(*actions: dict[str, Any], events: tuple[HistoryEvent, ...] = ()) -> Simulation:
    simulation = Simulation(actions=actions_from_wire(list(actions)), execution="e")
    simulation.feed_all((*began(), *events))
    return simulation


def named(command: SchedulingCommand) -> str:
    match command:
        case StartTimer():
            return "timer"
        case CallEntity() | SignalEntity():
            return f"{command.entity} {command.operation}"
        case _:
            return command.name


def shape(commands: list[SchedulingCommand]) -> list[str]:
    return [f"{c.id} {named(c)}" for c in commands]


def test_top_level_actions_run_one_after_the_other() -> None:
    assert shape(simulated(call("a"), call("b")).commands) == ["0 a"]
    assert shape(simulated(call("a"), call("b"), events=(done(0),)).commands) == ["0 a", "1 b"]
    assert simulated(call("a"), call("b"), events=(done(0), done(1))).ended


def ask(kind: int) -> dict[str, Any]:
    return {"actionType": kind, "instanceId": "@counter@k", "operation": "add", "input": "7"}


def test_a_signal_completes_at_once_and_a_call_waits_for_its_result() -> None:
    actions = (ask(9), ask(7), call("a"))
    assert shape(simulated(*actions).commands) == ["0 @counter@k add", "1 @counter@k add"]
    answered = HistoryEvent(kind=HistoryEventKind.ENTITY_COMPLETED, at=0.0, task=1, result="7")
    assert shape(simulated(*actions, events=(answered,)).commands)[2:] == ["2 a"]


def test_a_delayed_signal_completes_at_once_too() -> None:
    wire = {"actionType": 10, "instanceId": "@C@k", "operation": "add", "input": "7", "fireAt": "1970-01-01T00:02:00Z"}
    simulation = Simulation(actions=actions_from_wire([wire]), execution="x")
    simulation.feed_all(began())
    assert simulation.commands == [SignalEntity(id=0, entity="@c@k", operation="add", input='"7"', due=120.0)]
    assert simulation.ended


def test_a_failure_lets_the_next_action_run_too() -> None:
    assert shape(simulated(call("a"), call("b"), events=(failed(0),)).commands) == ["0 a", "1 b"]


def test_a_compound_schedules_all_its_children_in_order() -> None:
    found = simulated(all_of(call("a"), timer(), call("b")), call("c"))
    assert shape(found.commands) == ["0 a", "1 timer", "2 b"]


def test_all_of_waits_for_every_child_even_after_a_failure() -> None:
    found = simulated(all_of(call("a"), call("b")), call("c"), events=(failed(0),))
    assert shape(found.commands) == ["0 a", "1 b"]
    found.feed(done(1))
    assert shape(found.commands) == ["0 a", "1 b", "2 c"]


def test_any_of_continues_with_the_first_and_leaves_the_others_open() -> None:
    found = simulated(any_of(call("a"), call("b")), call("c"), events=(done(1), done(2)))
    assert shape(found.commands) == ["0 a", "1 b", "2 c"]
    assert not found.ended
    found.feed(done(0))
    assert found.ended


def test_retries_are_task_timer_task_timer_with_one_timer_more_at_the_end() -> None:
    found = simulated(call_with_retry("a"), call("b"))
    for event in (episode(200.0), failed(0), episode(300.0), fired(1), episode(400.0), failed(2), fired(3)):
        found.feed(event)
    assert shape(found.commands) == ["0 a", "1 timer", "2 a", "3 timer", "4 b"]
    waits = [c.fire_at for c in found.commands if isinstance(c, StartTimer)]
    assert waits == [201.0, 400.0]


def test_back_off_grows_by_its_factor_to_its_limit() -> None:
    found = simulated(call_with_retry("a", BACK_OFF))
    for task in range(0, 8, 2):
        found.feed(failed(task))
        found.feed(fired(task + 1))
    waits = [c.fire_at - 100.0 for c in found.commands if isinstance(c, StartTimer)]
    assert waits == [1.0, 2.0, 3.0, 0.0]


def test_a_cancelled_timer_takes_an_id_and_is_not_waited_for() -> None:
    found = simulated(timer(cancelled=True), call("a"), events=(done(1),))
    assert shape(found.commands) == ["0 timer", "1 a"]
    assert found.ended


def test_a_timer_that_is_not_cancelled_keeps_the_program_open() -> None:
    found = simulated(any_of(wait("go"), timer()), events=(raised("GO"),))
    assert not found.ended
    found.feed(fired(0))
    assert found.ended


def test_external_events_take_no_id_and_are_kept_until_someone_waits() -> None:
    found = simulated(call("a"), wait("go"), call("b"), events=(raised("go"), done(0)))
    assert shape(found.commands) == ["0 a", "1 b"]


def test_the_newest_waiter_is_served_first() -> None:
    found = simulated(all_of(any_of(wait("go")), any_of(wait("go"))), events=(raised("go"),))
    assert [len(found.waiters["go"]), found.ended] == [1, False]


def test_a_suspended_program_receives_nothing_until_it_is_resumed() -> None:
    suspended = HistoryEvent(kind=HistoryEventKind.SUSPENDED, at=0.0)
    found = simulated(call("a"), call("b"), events=(suspended, done(0)))
    assert shape(found.commands) == ["0 a"]
    found.feed(HistoryEvent(kind=HistoryEventKind.RESUMED, at=0.0))
    assert shape(found.commands) == ["0 a", "1 b"]


def test_events_after_continue_as_new_are_carried_over_and_earlier_ones_are_not() -> None:
    again = {"actionType": 4, "input": "7"}
    found = simulated(wait("go"), again, events=(raised("lost"), raised("go"), raised("kept")))
    assert [event.name for event in found.carried_events] == ["kept"]
    assert found.continued_as_new is not None
    assert found.continued_as_new.input == "7"


def test_a_child_without_an_id_is_named_after_its_parents_execution() -> None:
    child = {"actionType": 2, "functionName": "c", "input": '{"n": 3}', "instanceId": None, "version": None}
    found = simulated(call("a"), child, events=(done(0),)).commands[1]
    assert found == StartChild(id=1, name="c", instance="e:1", input='"{\\"n\\": 3}"')


def test_the_input_of_an_activity_stays_as_it_is() -> None:
    action = call("a") | {"input": '"Bob"'}
    assert simulated(action).commands == [RunActivity(id=0, name="a", input='"Bob"')]


def test_completions_of_nothing_open_are_ignored() -> None:
    found = simulated(call("a"), call("b"), events=(done(7), done(0), done(0)))
    assert shape(found.commands) == ["0 a", "1 b"]


def test_a_retry_that_shares_a_compound_is_a_hazard_and_alone_it_is_not() -> None:
    assert find_desynchronising_call(actions_from_wire([any_of(call_with_retry("a"), wait("go"))])) == "a"
    assert find_desynchronising_call(actions_from_wire([all_of(call("b"), all_of(call_with_retry("a")))])) == "a"
    assert find_desynchronising_call(actions_from_wire([call_with_retry("a"), all_of(call("b"), call("c"))])) is None
