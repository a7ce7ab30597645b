"""Does a turn survive an update, while instances of the release before still take its steps?"""

from tests.orchestrators.durable_host import DurableHost, EventType, requests_of, steps
from tests.orchestrators.histories.paths import ANTICIPATED, MINE, RECALLED, TURN, asks, routed


def host_before_its_call(version: str, *calls: str) -> DurableHost:
    host = DurableHost(TURN, version=version)
    host.start()
    for event in (MINE, ANTICIPATED, RECALLED, routed(), asks(*(calls or ("mcp_1",)))):
        host.apply(event)
    return host


def fail(host: DurableHost, step: str = "try_call_tool") -> None:
    opened = host.open(EventType.TASK_SCHEDULED, step)
    host.turn(EventType.TASK_FAILED, TaskScheduledId=opened["EventId"], Reason="KeyError: 'response'", Details="{}")


def test_a_call_that_an_earlier_release_cannot_read_is_sent_again() -> None:
    host = host_before_its_call("1.6")
    fail(host)
    assert steps(host.history)[-2:] == ["try_call_tool", "call_tool"]
    (again,) = requests_of(host.history, "call_tool")
    assert again["call"] == "mcp_1"


def test_a_step_that_an_earlier_release_does_not_have_is_replaced_by_one_for_each_call() -> None:
    host = host_before_its_call("1.7", "mcp_1", "mcp_2")
    fail(host, "try_call_tools")
    assert steps(host.history)[-2:] == ["try_call_tools", "call_tool"]
    assert [each["call"] for each in requests_of(host.history, "call_tool")] == ["mcp_1"]


def test_many_calls_of_a_round_run_in_several_steps() -> None:
    host = host_before_its_call("1.7", *(f"mcp_{number}" for number in range(10)))
    assert [len(each["calls"]) for each in requests_of(host.history, "try_call_tools")] == [8, 2]


def test_an_orchestration_of_an_earlier_version_runs_each_call_in_a_step() -> None:
    host = host_before_its_call("1.6", "mcp_1", "mcp_2")
    assert steps(host.history)[-2:] == ["try_call_tool"] * 2


def test_an_orchestration_of_an_earlier_version_ends_as_it_always_did() -> None:
    host = host_before_its_call("1.5")
    fail(host)
    assert steps(host.history)[-2:] == ["try_call_tool", "finish"]
