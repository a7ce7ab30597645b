"""What do orchestrators receive from call_http?"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from devhost.engine.model.commands import RunActivity, StartTimer
from devhost.protocol_v1.actions import actions_from_wire
from devhost.protocol_v1.http_calls import HTTP_ACTIVITY, next_poll
from devhost.protocol_v1.replay.simulation import Simulation
from tests.devhost.hosts import Durable, RunningHost, running
from tests.devhost.protocol_v1.replay.test_simulation import began, call, done, fired
from tests.devhost.test_durable_host import kinds


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with running("http_calls", tmp_path_factory.mktemp("http_calls")) as host:
        yield host


@pytest.fixture
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def ask(durable: Durable, host: RunningHost, path: str, **given: Any) -> dict[str, Any]:
    return durable.run("asks", {"method": "POST", "uri": f"{host.origin}/api/{path}", **given})


def test_a_request_is_sent_unchanged_and_any_status_is_a_result(durable: Durable, host: RunningHost) -> None:
    output = ask(durable, host, "seen", content={"a": 1}, headers={"X-Own": "mine"})["output"]
    assert output["statusCode"] == 418
    assert output["headers"]["X-Back"] == "yes"
    assert "Content-Length" not in output["headers"]
    lines = output["content"].splitlines()
    assert lines == ["x-own: mine", "content-type: text/plain", "user-agent: None", "accept-encoding: None", '{"a": 1}']


def test_a_content_type_goes_with_a_content_only(durable: Durable, host: RunningHost) -> None:
    headers = {"Content-Type": "application/json"}
    given = {"content": "raw", "is_raw_str": True, "headers": headers}
    assert "content-type: application/json" in ask(durable, host, "seen", **given)["output"]["content"]
    assert "content-type: application/json" not in ask(durable, host, "seen", headers=headers)["output"]["content"]


def test_a_server_that_is_not_there_fails_the_call(durable: Durable) -> None:
    status = durable.run("asks", {"method": "GET", "uri": "http://127.0.0.1:1/"})
    assert status["runtimeStatus"] == "Failed"
    assert "127.0.0.1:1" in status["output"]


def test_an_unsupported_http_call_fails_with_a_message(durable: Durable, host: RunningHost) -> None:
    assert "it has no managed identity" in ask(durable, host, "seen", resource="https://x")["output"]
    headers = {"Content-Type": "multipart/form-data"}
    assert "Multipart content is not supported" in ask(durable, host, "seen", content="x", headers=headers)["output"]


def test_several_requests_run_together(durable: Durable, host: RunningHost) -> None:
    assert durable.run("asks_all", [f"{host.origin}/api/later/0"] * 3)["output"] == ["done"] * 3


def test_the_host_polls_after_a_202_and_warns_that_the_sdk_does_not(durable: Durable, host: RunningHost) -> None:
    instance = durable.start("asks", {"method": "GET", "uri": f"{host.origin}/api/later/2"})
    assert durable.wait(instance)["output"]["statusCode"] == 202
    polled = ["TimerCreated", "TimerFired", "TaskCompleted"]
    assert kinds(durable, instance)[1:-1] == ["TaskCompleted", *polled, *polled]
    assert "call_http received a 202" in host.log


def request(uri: str) -> dict[str, Any]:
    return {"actionType": 8, "httpRequest": {"method": "POST", "uri": uri, "content": "c", "headers": {"A": "b"}}}


def accepted(**headers: str) -> str:
    return json.dumps({"statusCode": 202, "headers": headers, "content": ""})


def test_polls_use_ids_and_later_tasks_wait_for_the_last_poll() -> None:
    simulation = Simulation(actions=actions_from_wire([request("http://a"), call("next")]), execution="x")
    first = done(0, accepted(Location="http://b", **{"Retry-After": "7"}))
    simulation.feed_all([*began(), first])
    again = {"method": "GET", "uri": "http://b", "headers": {"A": "b"}, "tokenSource": None}
    assert simulation.commands[1:] == [StartTimer(id=1, fire_at=107.0)]
    simulation.feed(fired(1))
    assert simulation.commands[2:] == [RunActivity(id=2, name=HTTP_ACTIVITY, input=json.dumps(again))]
    simulation.feed(done(2, json.dumps({"statusCode": 200, "headers": {}, "content": ""})))
    assert [command.id for command in simulation.commands] == [0, 1, 2, 3]
    assert simulation.polls == 1


LAST = [
    json.dumps({"statusCode": 200, "headers": {"Location": "http://b"}}),
    accepted(),
    accepted(Location="/relative"),
    accepted(Location="http://b", **{"Retry-After": "Sun, 22 Nov 2026 10:00:00 GMT"}),
    *(accepted(Location="http://b", **{"Retry-After": wait}) for wait in ("nan", "inf", "1e300", "-1")),
    None,
]


@pytest.mark.parametrize("answer", LAST)
def test_a_response_without_location_or_valid_delay_is_the_last(answer: str | None) -> None:
    assert next_poll("{}", answer, 30.0) is None


def test_without_a_retry_after_the_setting_of_the_host_holds() -> None:
    poll = next_poll("{}", accepted(location="http://b"), 12.0)
    assert poll is not None
    assert poll.delay_s == 12.0
