"""Do orchestrations behave like on the real host?"""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devhost.cli.connection import DatabaseFile
from devhost.engine.model.events import SCHEDULING_KINDS
from devhost.engine.storage.rows import find_instance
from devhost.engine.storage.store import TaskHubStore
from tests.devhost.hosts import Durable, RunningHost, running, until


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, notes: Path) -> Iterator[RunningHost]:
    with running("durable", tmp_path_factory.mktemp("durable"), NOTES=str(notes)) as host:
        yield host


@pytest.fixture(scope="module")
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def test_a_chain_returns_what_its_activities_returned(durable: Durable) -> None:
    status = durable.run("chain", ["a", {"b": [1]}, None, 2.5])
    assert status["runtimeStatus"] == "Completed"
    assert status["output"] == ["a", {"b": [1]}, None, 2.5]


def test_the_input_of_a_status_is_the_text_that_the_sdk_sent(durable: Durable) -> None:
    assert durable.run("chain", ["a"])["input"] == '["a"]'


def test_a_fan_out_collects_in_order(durable: Durable) -> None:
    assert durable.run("fan_out", 30)["output"] == list(range(30))


def test_orchestrators_are_found_by_the_name_of_their_decorator_in_any_case(durable: Durable) -> None:
    assert durable.run("named in the decorator")["output"] == "1.0"


def kinds(durable: Durable, instance: str) -> list[str]:
    return [event["EventType"] for event in durable.history(instance)]


def test_a_retry_waits_on_a_timer_and_succeeds(durable: Durable) -> None:
    instance = durable.start("retried", {"key": "retry-once", "succeeds_at": 2})
    assert durable.wait(instance)["output"] == "success 2"
    assert kinds(durable, instance)[1:-1] == ["TaskFailed", "TimerCreated", "TimerFired", "TaskCompleted"]


def test_after_the_last_attempt_one_more_timer_fires_at_once_and_the_orchestrator_continues(durable: Durable) -> None:
    instance = durable.start("retried_then_more")
    status = durable.wait(instance)
    assert status["output"] == "after"
    assert status["customStatus"] == "Activity function 'boom' failed:  ValueError: boom r "
    assert kinds(durable, instance)[1:-1] == [
        *("TaskFailed", "TimerCreated", "TimerFired"),
        *("TaskFailed", "TimerCreated", "TimerFired"),
        "TaskCompleted",
    ]


def test_a_caught_failure_in_task_all_still_waits_for_its_sibling(durable: Durable) -> None:
    began = time.monotonic()
    status = durable.run("caught_in_all")
    assert status["output"] == "after"
    assert time.monotonic() - began >= 0.4


def test_an_uncaught_failure_fails_the_instance_with_its_custom_status(durable: Durable) -> None:
    status = durable.run("uncaught")
    assert status["runtimeStatus"] == "Failed"
    assert status["customStatus"] == "about to fail"
    assert status["output"].startswith(
        "Orchestrator function 'uncaught' failed: Activity function 'boom' failed:  ValueError: boom u"
    )


def test_a_cancelled_timer_lets_the_instance_complete(durable: Durable) -> None:
    instance = durable.start("leaves_timer", {"cancel": True, "timer_ms": 600_000})
    durable.wait_status(instance, "Running")
    durable.event(instance, "go", 1)
    assert durable.wait(instance)["output"] == "event"
    assert "TimerFired" not in kinds(durable, instance)


def test_a_timer_that_is_not_cancelled_keeps_the_instance_running_until_it_fires(durable: Durable) -> None:
    instance = durable.start("leaves_timer", {"cancel": False, "timer_ms": 1000})
    durable.wait_status(instance, "Running")
    durable.event(instance, "go", 1)
    assert durable.wait(instance)["output"] == "event"
    assert kinds(durable, instance).count("TimerFired") == 1


def test_an_event_before_its_wait_is_kept(durable: Durable) -> None:
    instance = durable.start("late_listener")
    durable.event(instance, "Go", "early")
    assert durable.wait(instance)["output"] == "early"


def test_of_two_waits_the_newer_receives_the_event(durable: Durable) -> None:
    instance = durable.start("two_waiters")
    durable.wait_custom(instance, "waiting")
    durable.event(instance, "go", 1)
    durable.event(instance, "go", 1)
    assert durable.wait(instance)["output"] == "second"


def test_the_webhook_delivers_objects_as_they_are(durable: Durable) -> None:
    instance = durable.start("waits")
    durable.event(instance, "go", {"x": 1})
    assert durable.wait(instance)["output"] == {"x": 1}


def use(durable: Durable, instance: str, method: str, *arguments: Any) -> Any:
    answer = durable.http.post(f"/api/clients/{instance}", json={"method": method, "arguments": arguments})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_client_delivers_an_event_as_a_json_text(durable: Durable) -> None:
    instance = durable.start("waits")
    assert use(durable, instance, "raise_event", "go", {"x": 1}) == {"result": None}
    assert json.loads(durable.wait(instance)["output"]) == {"x": 1}


def test_a_sub_orchestration_returns_to_its_parent(durable: Durable) -> None:
    instance = durable.start("parent", [1, 2])
    assert durable.wait(instance)["output"] == [1, 2]


def test_a_failed_child_is_an_exception_in_its_parent(durable: Durable) -> None:
    output = durable.run("parent_of_failure")["output"]
    assert output.startswith("Orchestrator function 'uncaught' failed: Activity function 'boom' failed:  ValueError")


def test_a_terminated_child_fails_in_its_parent(durable: Durable) -> None:
    instance = durable.start("named_parent", "terminated-child")
    durable.wait_custom("terminated-child", "waiting")
    durable.control("terminated-child", "terminate", "enough")
    assert durable.wait("terminated-child")["output"] == "enough"
    assert "enough" in durable.wait(instance)["output"]


def test_a_child_can_not_take_its_parents_id(durable: Durable) -> None:
    status = durable.run("own_child")
    assert status["runtimeStatus"] == "Failed"
    assert "can't have the instance id" in status["output"]


def test_continue_as_new_keeps_the_instance_and_restarts_its_history(durable: Durable) -> None:
    instance = durable.start("counts_down", 5)
    status = durable.wait(instance)
    assert status["output"] == "done"
    assert status["input"] == "0"
    assert kinds(durable, instance) == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]


def store_of(host: RunningHost) -> TaskHubStore:
    return DatabaseFile(path=host.folder / "hub.db").store()


def test_retries_are_numbered_task_timer_task_timer(durable: Durable, host: RunningHost) -> None:
    instance = durable.start("retried_then_more")
    durable.wait(instance)
    with contextlib.closing(store_of(host).database) as database:
        events = TaskHubStore(database).history(instance)
    assert [(e.id, str(e.kind)) for e in events if e.kind in SCHEDULING_KINDS] == [
        (0, "activity_scheduled"),
        (1, "timer_created"),
        (2, "activity_scheduled"),
        (3, "timer_created"),
        (4, "activity_scheduled"),
    ]


def test_continue_as_new_starts_an_execution_and_drops_events_without_a_wait(
    durable: Durable, host: RunningHost
) -> None:
    with contextlib.closing(store_of(host).database) as database:
        instance = durable.start("forgets", "first")
        durable.wait_custom(instance, "waiting")
        durable.event(instance, "extra", 1)
        until(lambda: "EventRaised" in kinds(durable, instance), "the extra event was read")
        first = find_instance(database, instance)
        durable.event(instance, "go", 1)
        assert durable.wait(instance)["output"] == "forgotten"
        second = find_instance(database, instance)
    assert first is not None
    assert second is not None
    assert first.execution != second.execution


def test_an_empty_custom_status_does_not_reset_the_last(durable: Durable) -> None:
    status = durable.run("speaks")
    assert status["customStatus"] == {"stage": 1}
    assert status["output"] is None


def test_an_unknown_activity_fails_the_instance_and_names_the_known(durable: Durable) -> None:
    status = durable.run("calls_unknown")
    assert status["runtimeStatus"] == "Failed"
    assert "The function 'no_such_activity' doesn't exist" in status["output"]
    assert "'echo', 'fails_until', 'note'" in status["output"]


def test_an_unknown_orchestrator_fails_the_instance_and_names_the_known(durable: Durable) -> None:
    status = durable.run("no_such_orchestrator")
    assert status["runtimeStatus"] == "Failed"
    assert "'chain', 'counts_down', 'fan_out'" in status["output"]


def test_a_retry_inside_task_any_is_warned_of_by_name(durable: Durable, host: RunningHost) -> None:
    assert durable.run("races_retries")["output"] == "ok"
    assert "orchestrator 'races_retries' calls 'echo' with retry options inside task_any" in host.log


def test_a_changed_orchestrator_is_detected(durable: Durable, notes: Path) -> None:
    instance = durable.start("undecided")
    until(lambda: "TaskCompleted" in kinds(durable, instance), "the activity is done")
    (notes / "undecided").write_text("nothing", encoding="utf-8")
    durable.event(instance, "go", 1)
    output = durable.wait(instance)["output"]
    assert "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled" in output
    assert "an activity task with sequence ID 0 and name 'echo'" in output


def test_one_trace_runs_from_the_start_to_the_activities_of_children(durable: Durable) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    answer = durable.http.post("/api/client/traced?id=traced-1", headers=headers, json=[])
    assert answer.status_code == 202
    first, second = durable.wait("traced-1")["output"]
    assert first.split("-")[1] == second.split("-")[1] == trace
    assert first.split("-")[2] != second.split("-")[2]


def test_a_suspended_instance_collects_events_until_it_is_resumed(durable: Durable) -> None:
    instance = durable.start("waits")
    durable.wait_custom(instance, "waiting")
    assert durable.control(instance, "suspend", "hold on").status_code == 202
    durable.wait_status(instance, "Suspended")
    durable.event(instance, "go", "kept")
    until(lambda: "EventRaised" in kinds(durable, instance), "the event is in the history")
    assert durable.status(instance)["runtimeStatus"] == "Suspended"
    durable.control(instance, "resume", "go on")
    assert durable.wait(instance)["output"] == "kept"


def test_termination_is_immediate_and_its_reason_the_output(durable: Durable) -> None:
    instance = durable.start("waits")
    durable.wait_custom(instance, "waiting")
    assert durable.control(instance, "terminate", "no more").status_code == 202
    status = durable.wait(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "no more")


def test_a_completed_instance_answers_events_and_control_requests_with_410(durable: Durable) -> None:
    instance = durable.start("chain", [])
    durable.wait(instance)
    assert durable.event(instance, "go", 1).status_code == 410
    for verb in ("terminate", "suspend", "resume"):
        assert durable.control(instance, verb).status_code == 410


def test_an_unknown_instance_is_not_found(durable: Durable) -> None:
    assert durable.event("nobody", "go", 1).status_code == 404
    assert durable.control("nobody", "terminate").status_code == 404
    assert durable.status("nobody") == {}


def test_the_id_of_a_running_instance_is_taken_and_that_of_a_completed_one_free(durable: Durable) -> None:
    durable.start("waits", instance="reused")
    taken = durable.http.post(f"{durable.base}/orchestrators/chain/reused")
    assert taken.status_code == 409
    assert taken.json()["ExceptionMessage"].startswith("An Orchestration instance with the status ")
    durable.event("reused", "go", 1)
    durable.wait("reused")
    assert durable.run("chain", ["again"], instance="reused")["output"] == ["again"]


def test_only_an_ended_instance_is_purged(durable: Durable) -> None:
    instance = durable.start("waits")
    durable.wait_custom(instance, "waiting")
    assert durable.http.delete(f"{durable.base}/instances/{instance}").status_code == 412
    durable.event(instance, "go", 1)
    durable.wait(instance)
    assert durable.http.delete(f"{durable.base}/instances/{instance}").json() == {"instancesDeleted": 1}
    assert durable.http.delete(f"{durable.base}/instances/{instance}").status_code == 404


def test_the_client_receives_the_message_of_the_host(durable: Durable) -> None:
    assert use(durable, "nobody", "get_status")["result"]["status"] is None
    assert use(durable, "nobody", "purge_instance_history")["result"] == 0
    instance = durable.start("chain", ["c"])
    durable.wait(instance)
    assert use(durable, instance, "get_status")["result"] == {"status": "Completed", "output": ["c"]}
    assert use(durable, instance, "terminate", "late") == {"result": None}
    assert use(durable, instance, "purge_instance_history")["result"] == 1


def test_a_client_that_starts_an_id_in_use_gets_a_conflict(durable: Durable) -> None:
    durable.start("waits", instance="taken")
    durable.wait_custom("taken", "waiting")
    answer = durable.http.post("/api/client/chain?id=taken", json=[])
    assert answer.status_code == 500


def test_a_check_status_response_points_to_this_host(durable: Durable, host: RunningHost) -> None:
    answer = durable.http.post("/api/client/chain?id=checked", json=[1])
    assert answer.status_code == 202
    assert answer.headers["location"].startswith(f"{host.origin}/runtime/webhooks/durabletask/instances/checked?")
    durable.wait("checked")
    assert durable.http.get(answer.headers["location"]).json()["output"] == [1]


def test_instances_are_listed_by_prefix(durable: Durable) -> None:
    for name in ("list-1", "list-2", "other-1"):
        durable.run("chain", [], instance=name)
    assert durable.http.get("/api/all?prefix=list-").json() == ["list-1", "list-2"]
    assert {"list-1", "other-1"} <= set(durable.http.get("/api/all").json())


def test_a_start_with_a_timeout_answers_with_the_output(durable: Durable) -> None:
    path = f"{durable.base}/orchestrators/chain?timeout=10&pollingInterval=0.01"
    assert durable.http.post(path, json=json.dumps([5])).json() == [5]


def test_a_client_may_wait_for_the_end_or_get_the_addresses(durable: Durable) -> None:
    instance = durable.start("waits")
    assert durable.http.get(f"/api/waits/{instance}?ms=50").status_code == 202
    durable.event(instance, "go", {"x": 1})
    answer = durable.http.get(f"/api/waits/{instance}?ms=10000")
    assert (answer.status_code, answer.json()) == (200, {"x": 1})


def test_the_client_suspends_resumes_and_terminates(durable: Durable) -> None:
    instance = durable.start("waits")
    durable.wait_custom(instance, "waiting")
    assert use(durable, instance, "suspend", "a b") == {"result": None}
    durable.wait_status(instance, "Suspended")
    assert use(durable, instance, "resume", "go on") == {"result": None}
    durable.wait_status(instance, "Running")
    assert use(durable, instance, "terminate", "so & so") == {"result": None}
    assert durable.wait(instance)["output"] == "so & so"


def test_an_object_started_through_the_webhook_arrives_and_a_list_breaks_the_sdk(durable: Durable) -> None:
    start = f"{durable.base}/orchestrators/takes_input"
    assert durable.wait(durable.http.post(start, json={"a": 1}).json()["id"])["output"] == {"a": 1}
    status = durable.wait(durable.http.post(start, json=[1]).json()["id"])
    assert status["runtimeStatus"] == "Failed"
    assert "must be str, bytes or bytearray, not list" in status["output"]


def test_bad_ids_and_bodies_are_refused(durable: Durable) -> None:
    start = f"{durable.base}/orchestrators/chain"
    assert durable.http.post(f"{start}/@entity").status_code == 400
    assert durable.http.post(f"{start}/{'x' * 257}").status_code == 400
    assert durable.http.post(start, content=b"{").status_code == 400
