"""Do classic HTTP triggers receive requests and return responses like on the real host?"""

import http.client
from collections.abc import Iterator
from http.cookies import SimpleCookie

import httpx
import pytest

from tests.devhost.hosts import RunningHost, running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with running("classic", tmp_path_factory.mktemp("classic")) as host:
        yield host


@pytest.fixture(scope="module")
def client(host: RunningHost) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


def test_a_function_sees_the_whole_request(client: httpx.Client, host: RunningHost) -> None:
    answer = client.post("/v1/echo/a%20b/7?x=1&x=2&empty=&y=%C3%A4", content=b"hi", headers={"X-Own": "mine"})
    assert answer.status_code == 201
    assert answer.headers["x-back"] == "yes"
    assert answer.json() == {
        "method": "POST",
        "url": f"{host.origin}/v1/echo/a%20b/7?x=1&x=2&empty=&y=%C3%A4",
        "query": {"x": "1,2", "y": "ä"},
        "route": {"first": "a b", "second": "7"},
        "header": "mine",
        "body": "hi",
    }


def test_an_optional_parameter_may_be_absent(client: httpx.Client) -> None:
    assert client.get("/v1/echo/one").json()["route"] == {"first": "one"}


def test_a_value_that_fails_its_constraint_belongs_to_another_route(client: httpx.Client) -> None:
    answer = client.get("/v1/echo/one/two")
    assert (answer.status_code, answer.text) == (404, "rest echo/one/two")


def test_a_method_that_is_not_declared_belongs_to_another_route(client: httpx.Client) -> None:
    assert client.delete("/v1/echo/one").text == "rest echo/one"


def test_a_catch_all_matches_the_empty_path_too(client: httpx.Client) -> None:
    assert client.get("/v1/").text in {"rest (none)", "rest "}


def test_paths_outside_the_prefix_are_not_found(client: httpx.Client) -> None:
    for path in ("/api/text", "/api/text%0A"):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (404, b"")


def test_head_has_no_body(client: httpx.Client) -> None:
    answer = client.head("/v1/echo/one")
    assert (answer.status_code, answer.content) == (201, b"")


def test_cookies_keep_their_attributes(client: httpx.Client) -> None:
    found = [SimpleCookie(text) for text in client.get("/v1/cookies").headers.get_list("set-cookie")]
    a, b = found[0]["a"], found[1]["b"]
    assert (a.value, a["path"], a["httponly"], a["samesite"], a["max-age"]) == ("1", "/", True, "lax", "60")
    assert (b.value, b["secure"], b["expires"]) == ("2", True, "Sun, 22 Nov 2026 10:00:00 GMT")


def test_a_function_may_return_text(client: httpx.Client) -> None:
    assert client.get("/v1/text").text == "just text"


def test_responses_have_the_custom_headers_of_host_json(client: httpx.Client) -> None:
    assert client.get("/v1/text").headers["x-custom"] == "yes"


def test_bytes_arrive_as_they_are(client: httpx.Client) -> None:
    assert client.get("/v1/bytes").content == bytes(range(256))


def test_an_exception_is_a_500_without_a_body_and_a_traceback_in_the_log(
    client: httpx.Client, host: RunningHost
) -> None:
    answer = client.get("/v1/boom")
    assert (answer.status_code, answer.content) == (500, b"")
    assert "function boom failed: ValueError: a secret of the app" in host.log
    assert 'raise ValueError("a secret of the app")' in host.log


def test_returning_nothing_is_an_error(client: httpx.Client) -> None:
    assert client.get("/v1/nothing").status_code == 500


def test_a_body_without_a_declared_length_is_empty_as_on_the_real_host(client: httpx.Client) -> None:
    assert client.post("/v1/echo/one", content=iter([b"a", b"b"])).json()["body"] == ""


def test_a_body_over_the_limit_is_refused_by_its_declared_length(host: RunningHost) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", host.state["port"], timeout=60)
    connection.putrequest("POST", "/v1/echo/one")
    connection.putheader("Content-Length", str(100 * 1024 * 1024 + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_unsupported_keys_of_host_json_are_logged_once(host: RunningHost) -> None:
    assert host.log.count("unsupported keys: concurrency") == 1


def test_functions_are_listed_with_their_routes(host: RunningHost) -> None:
    assert f"echo: [GET,HEAD,POST] {host.origin}/v1/echo/{{first}}/{{second:int?}}" in host.log
    assert f"ready: {host.origin}" in host.log


def test_the_status_has_state_version_and_processes(client: httpx.Client, host: RunningHost) -> None:
    status = client.get("/admin/host/status").json()
    assert status["state"] == "Running"
    assert status["hostProcessId"] == host.state["host_pid"]
    assert status["workerProcessId"] == host.state["worker_pid"]
