"""What does each call of the SDK's durable client return?"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.devhost.hosts import Durable, RunningHost, running, until

LONG_AGO = "2001-01-01T00:00:00"
FAR_AHEAD = "2101-01-01T00:00:00"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("clients")
    with running("clients", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture(scope="module")
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def told(durable: Durable, method: str, **arguments: Any) -> dict[str, Any]:
    answer = durable.http.post(f"/api/calls/{method}", json=arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()


def result(durable: Durable, method: str, **arguments: Any) -> Any:
    found = told(durable, method, **arguments)
    assert "raised" not in found, found
    return found["result"]


def raised(durable: Durable, method: str, **arguments: Any) -> str:
    return told(durable, method, **arguments)["raised"]


def ended(durable: Durable, name: str, instance: str, value: Any = None) -> str:
    durable.run(name, value, instance=instance)
    return instance


def test_start_new_gives_an_id_or_takes_one(durable: Durable) -> None:
    own = result(durable, "start_new", orchestration_function_name="gives_back", client_input={"a": 1})
    assert len(own) == 32
    assert durable.wait(own)["output"] == {"a": 1}
    assert result(durable, "start_new", orchestration_function_name="gives_back", instance_id="mine") == "mine"
    assert durable.wait("mine")["output"] is None


def test_ids_and_event_names_with_a_slash_are_unknown_paths(durable: Durable) -> None:
    """The extension answers these with 404 and no body; the SDK parses the body of every answer."""
    start = {"orchestration_function_name": "waits", "instance_id": "a/b/c"}
    assert raised(durable, "start_new", **start) == "None"
    instance = result(durable, "start_new", orchestration_function_name="waits")
    event = {"instance_id": instance, "event_name": "Event/1", "event_data": 1}
    assert raised(durable, "raise_event", **event) == f"No instance with ID {instance} found."
    event["event_name"] = "go"
    result(durable, "raise_event", **event)
    assert durable.wait(instance)["output"] == "1"


def test_start_new_raises_the_message_of_the_host(durable: Durable) -> None:
    start = {"orchestration_function_name": "waits", "instance_id": "taken"}
    result(durable, "start_new", **start)
    assert "An Orchestration instance with the status" in raised(durable, "start_new", **start)
    assert "256 characters" in raised(durable, "start_new", **(start | {"instance_id": "@entity"}))


def test_start_new_of_an_unknown_orchestrator_fails_the_instance(durable: Durable) -> None:
    instance = result(durable, "start_new", orchestration_function_name="nobody")
    assert "The function 'nobody' doesn't exist" in durable.wait(instance)["output"]


def test_get_status_shows_history_and_results_on_demand(durable: Durable) -> None:
    instance = ended(durable, "fails_once", "shown")
    plain = result(durable, "get_status", instance_id=instance)
    assert (plain["name"], plain["instanceId"], plain["runtimeStatus"]) == ("fails_once", "shown", "Failed")
    assert plain["history"] is None
    assert result(durable, "get_status", instance_id=instance, show_history=True, show_history_output=True) == plain
    events = durable.status(instance, showHistory="true")["historyEvents"]
    assert [event["EventType"] for event in events] == ["ExecutionStarted", "TaskFailed", "ExecutionCompleted"]
    assert "Result" not in events[-1]


def test_get_status_of_an_unknown_instance_is_empty(durable: Durable) -> None:
    assert result(durable, "get_status", instance_id="nobody") == "falsy"


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [one["instanceId"] for one in found]


def test_instances_are_found_by_prefix_status_and_time(durable: Durable) -> None:
    for instance in ("found-1", "found-2"):
        ended(durable, "gives_back", instance)
    ended(durable, "fails_once", "found-3")
    mine = {"instance_id_prefix": "found-"}
    assert ids(result(durable, "get_status_by", **mine)) == ["found-1", "found-2", "found-3"]
    assert ids(result(durable, "get_status_by", runtime_status=["Failed", "Running"], **mine)) == ["found-3"]
    assert result(durable, "get_status_by", created_time_from=FAR_AHEAD, **mine) == []
    assert result(durable, "get_status_by", created_time_to=LONG_AGO, **mine) == []
    both = {"created_time_from": LONG_AGO, "created_time_to": FAR_AHEAD}
    assert len(result(durable, "get_status_by", **both, **mine)) == 3
    assert {"found-1", "found-3"} <= set(ids(result(durable, "get_status_all")))


def test_raise_event_distinguishes_completed_and_unknown_instances(durable: Durable) -> None:
    event = {"event_name": "go", "event_data": [1]}
    instance = durable.start("waits", instance="heard")
    assert result(durable, "raise_event", instance_id=instance, task_hub_name="TestHubName", **event) is None
    assert durable.wait(instance)["output"] == "[1]"
    assert "is gone" in raised(durable, "raise_event", instance_id=instance, **event)
    assert "No instance with ID nobody found." in raised(durable, "raise_event", instance_id="nobody", **event)


def test_the_instance_is_checked_before_the_request(durable: Durable) -> None:
    over, path = ended(durable, "gives_back", "over"), "{base}/instances/{id}/raiseEvent/go"
    running = durable.start("waits")
    codes = [
        durable.http.post(path.format(base=durable.base, id=one), content=b"{").status_code
        for one in ("nobody", over, running)
    ]
    assert codes == [404, 410, 400]
    bad = durable.http.post(
        path.format(base=durable.base, id=running), content=b"{", headers={"Content-Type": "application/json"}
    )
    assert (bad.status_code, bad.json()["Message"]) == (400, "Invalid JSON content")


@pytest.mark.parametrize("method", ["terminate", "suspend", "resume"])
def test_control_requests_to_completed_instances_have_no_effect_and_unknown_ones_fail(
    durable: Durable, method: str
) -> None:
    over = ended(durable, "gives_back", f"over-{method}")
    assert result(durable, method, instance_id=over, reason="r & s") is None
    assert "No instance with ID" in raised(durable, method, instance_id="nobody", reason="r")


def test_only_the_running_are_suspended_and_only_the_suspended_resumed(durable: Durable) -> None:
    instance = durable.start("waits")
    durable.wait_custom(instance, "waiting")
    order = {"instance_id": instance, "reason": "r"}
    assert "unexpected status code 500" in raised(durable, "resume", **order)
    result(durable, "suspend", **order)
    durable.wait_status(instance, "Suspended")
    assert "unexpected status code 500" in raised(durable, "suspend", **order)
    refused = durable.control(instance, "suspend").json()
    assert refused["ExceptionMessage"].endswith(f"{instance} because instance is in the Suspended state.")
    result(durable, "resume", **order)
    durable.wait_status(instance, "Running")
    result(durable, "terminate", **order)
    assert durable.wait(instance)["output"] == "r"


def test_rewind_runs_failed_steps_again(durable: Durable) -> None:
    instance = ended(durable, "fails_once", "rewound")
    assert result(durable, "rewind", instance_id=instance, reason="mended") is None
    until(lambda: durable.status(instance)["runtimeStatus"] == "Completed", "the rewound instance ends")
    assert durable.status(instance)["output"] == "worked"
    assert "Only a failed instance" in raised(durable, "rewind", instance_id=instance, reason="again")
    assert "No instance with ID" in raised(durable, "rewind", instance_id="nobody", reason="again")


def test_restart_answers_with_the_addresses_of_the_new_instance(durable: Durable) -> None:
    instance = ended(durable, "gives_back", "first", "kept")
    found = result(durable, "restart", instance_id=instance)
    assert durable.wait(found["id"])["output"] == "kept"
    assert found["id"] != instance
    same = result(durable, "restart", instance_id=instance, restart_with_new_instance_id=False)
    assert same["id"] == instance


def test_paths_match_in_any_case_and_other_methods_are_not_found(durable: Durable) -> None:
    instance = durable.start("waits")
    raised_ = durable.http.post(f"{durable.base}/Instances/{instance}/raiseevent/go", json="now")
    assert raised_.status_code == 202
    assert durable.wait(instance)["output"] == "now"
    assert durable.http.put(f"{durable.base}/instances/{instance}").status_code == 404


def test_restart_of_an_unknown_instance_is_rejected(durable: Durable) -> None:
    told_ = durable.control("nobody", "restart")
    assert told_.json()["Message"] == "InstanceId does not match a valid orchestration instance."


def test_instances_are_purged_one_by_one_or_by_a_filter(durable: Durable) -> None:
    instance = ended(durable, "gives_back", "purged")
    assert result(durable, "purge_instance_history", instance_id=instance) == 1
    assert result(durable, "purge_instance_history", instance_id=instance) == 0
    by = {"created_time_from": LONG_AGO, "created_time_to": LONG_AGO, "runtime_status": ["Completed"]}
    assert result(durable, "purge_instance_history_by", **by) == 0
    assert "created_time_from is required" in raised(durable, "purge_instance_history_by")
    running = durable.start("waits")
    assert "unexpected status code 412" in raised(durable, "purge_instance_history", instance_id=running)


def test_entities_are_signalled_and_read(durable: Durable) -> None:
    entity = {"entityId": ["notes", "n"]}
    assert result(durable, "read_entity_state", **entity) == [False, None]
    for given in ({"x": 1}, "text", 0):
        result(durable, "signal_entity", operation_name="add", operation_input=given, **entity)
    until(lambda: len(result(durable, "read_entity_state", **entity)[1] or []) == 3, "all have been heard")
    assert result(durable, "read_entity_state", **entity)[1] == [{"x": 1}, "text", "-"]


def test_an_entity_receives_a_body_that_is_not_json_as_text(durable: Durable) -> None:
    one = f"{durable.base}/entities/notes/plain"
    plain = durable.http.post(f"{one}?op=add", content=b"[7]", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 202
    bad = durable.http.post(f"{one}?op=add", content=b"{", headers={"Content-Type": "application/json"})
    assert bad.status_code == 400
    until(lambda: durable.http.get(one).status_code == 200, "the signal was heard")
    assert durable.http.get(one).json() == [[7]]


def test_the_management_addresses_are_nine_and_those_of_the_host(durable: Durable, host: RunningHost) -> None:
    found = result(durable, "create_http_management_payload", instance_id="i")
    assert set(found) == {
        *("id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "rewindPostUri"),
        *("purgeHistoryDeleteUri", "restartPostUri", "suspendPostUri", "resumePostUri"),
    }
    assert found["id"] == "i"
    assert found["terminatePostUri"].startswith(f"{host.origin}{durable.base}/instances/i/terminate?reason={{text}}&")


def test_waiting_for_completion_reports_each_final_status(durable: Durable) -> None:
    ended(durable, "gives_back", "waited-1", {"x": 1})
    ended(durable, "fails_once", "waited-2")
    durable.start("waits", instance="waited-3")
    durable.start("waits", instance="waited-4")
    durable.control("waited-4", "terminate", "enough")
    durable.wait("waited-4")
    answers = {n: durable.http.get(f"/api/waits/waited-{n}?ms=50") for n in (1, 2, 3, 4)}
    assert {n: answer.status_code for n, answer in answers.items()} == {1: 200, 2: 500, 3: 202, 4: 200}
    assert answers[1].json() == {"x": 1}
    assert answers[4].json()["output"] == "enough"


def test_a_start_waits_only_with_timeout_and_polling_interval(durable: Durable) -> None:
    start = f"{durable.base}/orchestrators/waits"
    assert durable.http.post(f"{start}?timeout=600").status_code == 202
    assert durable.http.post(f"{start}?pollingInterval=600").status_code == 202
    failed = durable.http.post(f"{durable.base}/orchestrators/fails_once/started?timeout=20&pollingInterval=0.01")
    assert (failed.status_code, failed.json()["runtimeStatus"]) == (200, "Failed")
    never = durable.http.post(f"{start}?timeout=nan&pollingInterval=1")
    assert (never.status_code, never.json()["Message"]) == (400, "timeout is not a number of seconds.")


def test_json_deeper_than_can_be_read_is_refused(durable: Durable) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    bad = durable.http.post(f"{durable.base}/orchestrators/waits", content=deep)
    assert (bad.status_code, bad.json()["Message"]) == (400, "Invalid JSON content")
