"""What does an episode decide, and what does it reject?"""

import json
from typing import Any

import pytest

from devhost.engine.model.commands import (
    CancelTimer,
    Completed,
    ContinuedAsNew,
    Failed,
    OrchestratorDecision,
    RunActivity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEvent, HistoryEventKind, ParentInstance
from devhost.engine.model.instances import OrchestrationInstance, RuntimeStatus
from devhost.engine.model.work_items import Episode
from devhost.protocol_v1.decision import (
    STATE_MARKER,
    DecisionWithWarnings,
    KnownFunctions,
    decide_on_failure,
    decide_on_result,
    state_from_failure,
)
from tests.devhost.protocol_v1.replay.test_simulation import (
    any_of,
    began,
    call,
    call_with_retry,
    done,
    fired,
    raised,
    timer,
    wait,
)

NAMES = KnownFunctions(orchestrators={"o": "O", "c": "c"}, activities={"a": "a", "b": "B"}, version="1.0")


def turn_of(*new: HistoryEvent, past: tuple[HistoryEvent, ...] = (), parent: ParentInstance | None = None) -> Episode:
    instance = OrchestrationInstance(
        id="i", execution="e", name="O", status=RuntimeStatus.RUNNING, created=0.0, updated=0.0, parent=parent
    )
    return Episode(instance=instance, past_events=past, new_events=new if past else (*began(), *new))


def answer(*actions: dict[str, Any], done: bool = False, **more: Any) -> str:
    return json.dumps({"isDone": done, "schemaVersion": 2, "actions": [list(actions)], **more})


def scheduled(number: int, name: str) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.ACTIVITY_SCHEDULED, at=0.0, id=number, name=name, input="null")


def reason(verdict: DecisionWithWarnings) -> str:
    assert isinstance(verdict.decision.outcome, Failed)
    return verdict.decision.outcome.reason


def test_new_actions_become_commands() -> None:
    decision = decide_on_result(turn_of(), answer(call("a")), NAMES).decision
    assert decision.commands == (RunActivity(id=0, name="a", input="null"),)
    assert decision.outcome is None


def test_what_was_scheduled_before_is_not_scheduled_again() -> None:
    past = (*began(), scheduled(0, "a"))
    decision = decide_on_result(turn_of(done(0), past=past), answer(call("a"), call("B")), NAMES).decision
    assert decision.commands == (RunActivity(id=1, name="B", input="null"),)


def test_an_orchestrator_that_is_done_completes_with_its_output() -> None:
    verdict = decide_on_result(turn_of(), answer(done=True, output={"x": 1}), NAMES)
    assert verdict.decision.outcome == Completed(output='{"x": 1}')


def test_without_an_output_it_completes_with_none() -> None:
    assert decide_on_result(turn_of(), answer(done=True), NAMES).decision.outcome == Completed(output=None)


def test_it_does_not_complete_while_a_timer_is_open() -> None:
    found = decide_on_result(turn_of(raised("go")), answer(any_of(wait("go"), timer()), done=True), NAMES)
    assert found.decision.outcome is None
    assert found.warnings == ()


def test_a_timer_of_an_earlier_turn_is_cancelled_when_it_has_not_fired() -> None:
    past = (*began(), HistoryEvent(kind=HistoryEventKind.TIMER_CREATED, at=0.0, id=0, fire_at=1e10))
    text = answer(any_of(wait("go"), timer(cancelled=True)), done=True)
    found = decide_on_result(turn_of(raised("go"), past=past), text, NAMES)
    assert found.decision.commands == (CancelTimer(id=0),)
    assert isinstance(found.decision.outcome, Completed)
    assert decide_on_result(turn_of(fired(0), past=past), text, NAMES).decision.commands == ()


def test_a_suspended_instance_neither_continues_nor_completes_until_it_is_resumed() -> None:
    """The SDK hears the event at once, cancels the timer of its race and goes on."""
    suspended, resumed = (
        HistoryEvent(kind=kind, at=0.0) for kind in (HistoryEventKind.SUSPENDED, HistoryEventKind.RESUMED)
    )
    created = HistoryEvent(kind=HistoryEventKind.TIMER_CREATED, at=0.0, id=0, fire_at=0.0)
    race = any_of(wait("go"), timer(cancelled=True))
    past = (*began(), created, suspended)
    for text in (answer(race, call("a")), answer(race, done=True, output=1)):
        assert decide_on_result(turn_of(raised("go"), past=past), text, NAMES).decision == OrchestratorDecision()
    past = (*past, raised("go"))
    decision = decide_on_result(turn_of(resumed, past=past), answer(race, call("a")), NAMES).decision
    assert decision.commands == (RunActivity(id=1, name="a", input="null"), CancelTimer(id=0))
    decision = decide_on_result(turn_of(resumed, past=past), answer(race, done=True, output=1), NAMES).decision
    assert decision.outcome == Completed(output="1")


def test_a_timer_cancelled_in_its_own_episode_only_takes_an_id() -> None:
    found = decide_on_result(turn_of(), answer(timer(cancelled=True), done=True), NAMES)
    assert found.decision.commands == (StartTimer(id=0, fire_at=1795341600.0, cancelled=True),)


def test_continue_as_new_takes_its_input_as_a_json_text() -> None:
    found = decide_on_result(turn_of(), answer({"actionType": 4, "input": "0"}, done=True), NAMES)
    assert found.decision.outcome == ContinuedAsNew(input='"0"')


def test_custom_status_is_kept_when_it_is_absent() -> None:
    assert decide_on_result(turn_of(), answer(), NAMES).decision.custom_status is None
    assert decide_on_result(turn_of(), answer(customStatus={"a": 1}), NAMES).decision.custom_status == '{"a": 1}'


CHANGES: list[tuple[HistoryEvent, list[dict[str, Any]], str]] = [
    (scheduled(0, "a"), [call("B")], "an activity task with sequence ID 0 and name 'a', but"),
    (scheduled(0, "a"), [timer()], "instead scheduled a timer task with this"),
    (scheduled(0, "a"), [], "hasn't (yet?) scheduled this task"),
    (
        HistoryEvent(kind=HistoryEventKind.TIMER_CREATED, at=0.0, id=0),
        [call("a")],
        "a timer task with sequence ID 0, but",
    ),
    (
        HistoryEvent(kind=HistoryEventKind.CHILD_CREATED, at=0.0, id=0, name="c"),
        [call("c")],
        "a sub-orchestration task with sequence ID 0",
    ),
]


@pytest.mark.parametrize(("before", "actions", "text"), CHANGES)
def test_a_changed_program_fails_the_instance(before: HistoryEvent, actions: list[dict[str, Any]], text: str) -> None:
    found = reason(decide_on_result(turn_of(done(0), past=(*began(), before)), answer(*actions), NAMES))
    assert found.startswith("Orchestrator function 'O' failed: Non-Deterministic workflow detected:")
    assert text in found


def test_activities_are_found_in_any_case_and_unknown_ones_fail_the_instance() -> None:
    assert decide_on_result(turn_of(), answer(call("b")), NAMES).decision.outcome is None
    assert "the known activity functions: 'B', 'a'." in reason(decide_on_result(turn_of(), answer(call("x")), NAMES))


def child(name: str, instance: str | None) -> dict[str, Any]:
    return {"actionType": 2, "functionName": name, "input": "null", "instanceId": instance, "version": None}


def test_an_unknown_child_fails_the_instance() -> None:
    assert "not an orchestrator function" in reason(decide_on_result(turn_of(), answer(child("x", None)), NAMES))


def test_a_child_gets_the_default_version() -> None:
    command = decide_on_result(turn_of(), answer(child("c", None)), NAMES).decision.commands[0]
    assert isinstance(command, StartChild)
    assert command.version == "1.0"


@pytest.mark.parametrize("instance", ["i", "I", "p"])
def test_a_child_with_the_id_of_its_parents_is_rejected(instance: str) -> None:
    episode = turn_of(parent=ParentInstance(instance="p", execution="x", task=0, name="P"))
    assert "can't have the instance id" in reason(decide_on_result(episode, answer(child("c", instance)), NAMES))


def test_an_unsupported_action_fails_the_instance_with_a_message() -> None:
    assert "type 99" in reason(decide_on_result(turn_of(), answer({"actionType": 99}), NAMES))


def test_a_retry_in_a_shared_compound_is_warned_of() -> None:
    found = decide_on_result(turn_of(), answer(any_of(call_with_retry("a"), wait("go"))), NAMES)
    assert "calls 'a' with retry options inside task_any or task_all" in found.warnings[0]


def test_waiting_without_an_open_task_is_warned_of() -> None:
    found = decide_on_result(turn_of(done(0)), answer(call("a")), NAMES)
    assert "waits for something that this host does not know" in found.warnings[0]


def failure(error: str, *actions: dict[str, Any]) -> str:
    return f"Exception: {error}{STATE_MARKER}{answer(*actions, error=error, customStatus='late')}"


def test_an_orchestrator_that_raises_fails_with_its_error_and_custom_status() -> None:
    found = decide_on_failure(turn_of(), failure("boom"), "stack", NAMES)
    assert reason(found) == "Orchestrator function 'O' failed: boom"
    assert found.decision.custom_status == '"late"'


def test_it_fails_only_when_its_tasks_are_completed() -> None:
    found = decide_on_failure(turn_of(), failure("boom", call("a")), "stack", NAMES)
    assert found.decision.outcome is None
    assert len(found.decision.commands) == 1


def test_an_error_that_quotes_the_marker_is_read_from_the_last() -> None:
    state = state_from_failure(failure(f"quoted {STATE_MARKER} here"))
    assert state is not None
    assert state.error == f"quoted {STATE_MARKER} here"


def test_a_failure_before_the_first_step_is_reported_whole() -> None:
    found = reason(decide_on_failure(turn_of(), "TypeError: bad input", "Traceback ...", NAMES))
    assert found == (
        "Orchestrator function 'O' failed: Result: Failure\nException: TypeError: bad input\nStack: Traceback ..."
    )


def test_half_of_a_surrogate_pair_is_a_question_mark_in_an_error_and_a_custom_status() -> None:
    broken = f"Exception: x{STATE_MARKER}{answer(error='cut \ud83d', customStatus='cut \ud83d')}"
    found = decide_on_failure(turn_of(), broken, "stack", NAMES)
    assert reason(found) == "Orchestrator function 'O' failed: cut ?"
    assert found.decision.custom_status == '"cut ?"'


def test_an_id_that_can_not_be_encoded_fails_the_instance_with_a_message() -> None:
    child = {"actionType": 2, "functionName": "c", "input": None, "instanceId": "cut \ud83d"}
    found = reason(decide_on_result(turn_of(), answer(child), NAMES))
    assert found.endswith("The action with sequence ID 0 contains half of a surrogate pair, which can't be stored.")
