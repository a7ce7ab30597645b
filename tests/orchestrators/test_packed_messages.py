"""Does a turn survive an update, while instances of the release before still take its steps?"""

from tests.orchestrators.durable_host import DurableHost, EventType, requests_of, steps
from tests.orchestrators.paths import ANTICIPATED, MINE, RECALLED, TURN, asks, routed


def host_before_its_call(version: str) -> DurableHost:
    host = DurableHost(TURN, version=version)
    host.start()
    for event in (MINE, ANTICIPATED, RECALLED, routed(), asks("mcp_1")):
        host.apply(event)
    return host


def fail(host: DurableHost) -> None:
    opened = host.open(EventType.TASK_SCHEDULED, "try_call_tool")
    host.turn(EventType.TASK_FAILED, TaskScheduledId=opened["EventId"], Reason="KeyError: 'response'", Details="{}")


def test_a_call_that_an_earlier_release_cannot_read_is_sent_again() -> None:
    host = host_before_its_call("1.6")
    fail(host)
    assert steps(host.history)[-2:] == ["try_call_tool", "call_tool"]
    (again,) = requests_of(host.history, "call_tool")
    assert again["call"] == "mcp_1"


def test_an_orchestration_of_an_earlier_version_ends_as_it_always_did() -> None:
    host = host_before_its_call("1.5")
    fail(host)
    assert steps(host.history)[-2:] == ["try_call_tool", "finish"]
