"""Does the host forward streams unchanged, also if they break?"""

import asyncio
import gzip
import http.client
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.devhost.hosts import RunningHost, running, until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("streaming")
    with running("streaming", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture
def client(host: RunningHost) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


def test_a_trivial_function_answers(client: httpx.Client, host: RunningHost) -> None:
    answer = client.get("/api/hello?name=you")
    assert answer.json() == {"hello": "you", "pid": host.state["worker_pid"]}
    assert "transfer-encoding" not in answer.headers


def test_events_arrive_one_by_one(client: httpx.Client) -> None:
    with client.stream("GET", "/api/ticks/4") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        moments = [(time.monotonic(), line) for line in answer.iter_lines() if line]
    assert [line for _, line in moments] == ["data: 0", "data: 1", "data: 2", "data: 3"]
    assert moments[-1][0] - moments[0][0] >= 0.25


def test_a_client_that_goes_away_cancels_the_generator(client: httpx.Client, host: RunningHost) -> None:
    with client.stream("GET", "/api/ticks/1000") as answer:
        next(answer.iter_lines())
    until((host.folder / "disconnected").exists, "the generator was cancelled")


def test_a_broken_stream_never_ends_cleanly(client: httpx.Client) -> None:
    with pytest.raises(httpx.HTTPError), client.stream("GET", "/api/breaks") as answer:
        assert list(answer.iter_bytes()) == [b"first"]


def test_a_worker_that_dies_in_the_middle_never_looks_like_an_end(host: RunningHost) -> None:
    with host.client() as client, client.stream("GET", "/api/ticks/1000") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: 0"
        old = host.kill_worker()
        with pytest.raises(httpx.HTTPError):
            list(lines)
    host.wait_new_worker(old)


def test_a_stopping_host_breaks_streams_after_a_grace_period(host: RunningHost) -> None:
    with host.client() as client, client.stream("GET", "/api/ticks/1000") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: 0"
        began = time.monotonic()
        assert host.process is not None
        host.process.terminate()
        with pytest.raises(httpx.HTTPError):
            list(lines)
        assert host.process.wait(30) == 0
    assert time.monotonic() - began > 4.0
    host.start()


def test_a_worker_that_dies_before_the_first_byte_is_a_502(host: RunningHost) -> None:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(base_url=host.origin, timeout=30) as client:
            asked = asyncio.create_task(client.get("/api/slow"))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(host.kill_worker)
            return await asked

    old = host.state["worker_pid"]
    assert asyncio.run(ask()).status_code == 502
    host.wait_new_worker(old)


def test_an_exception_before_the_first_byte_is_a_500(client: httpx.Client) -> None:
    assert client.get("/api/raises").status_code == 500


def test_a_body_with_a_length_keeps_it(client: httpx.Client) -> None:
    seen = client.post("/api/upload", content=b"x" * 200_000).json()
    assert (seen["bytes"], seen["length"]) == (200_000, "200000")


def test_a_chunked_body_streams_through(client: httpx.Client) -> None:
    seen = client.put("/api/upload", content=iter([b"a" * 1000] * 50)).json()
    assert (seen["bytes"], seen["length"]) == (50_000, None)


@pytest.mark.parametrize("content", [b"x", b"x" * 100_000], ids=["longer when packed", "shorter when packed"])
def test_a_packed_body_arrives_as_it_was_sent(client: httpx.Client, content: bytes) -> None:
    packed = gzip.compress(content)
    seen = client.post("/api/upload", content=packed, headers={"content-encoding": "gzip"}, timeout=60).json()
    assert (seen["bytes"], seen["length"]) == (len(packed), str(len(packed)))


def test_the_app_receives_the_requested_host_name(client: httpx.Client, host: RunningHost) -> None:
    assert client.post("/api/upload", content=b"").json()["host"] == f"127.0.0.1:{host.state['port']}"


def test_large_answers_keep_their_length(client: httpx.Client) -> None:
    answer = client.get("/api/large")
    assert answer.headers["content-length"] == "1000000"
    assert answer.content == b"x" * 1_000_000


def test_the_app_can_answer_before_a_byte_of_the_body_has_come(host: RunningHost) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", host.state["port"], timeout=30)
    connection.putrequest("POST", "/api/small")
    connection.putheader("Content-Length", "10000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_line_break_in_the_path_is_answered_by_the_apps_server(client: httpx.Client) -> None:
    answer = client.get("/api/no%0Asuch")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_several_cookies_stay_several(client: httpx.Client) -> None:
    assert len(client.get("/api/cookies").headers.get_list("set-cookie")) == 2


def test_head_has_a_length_and_no_body(client: httpx.Client) -> None:
    answer = client.head("/api/hello")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


def test_unknown_paths_and_methods_reach_the_catch_all(client: httpx.Client) -> None:
    assert client.get("/api/no/such?x=1").json() == {"path": "no/such", "method": "GET"}
    assert client.options("/api/hello").json() == {"path": "hello", "method": "OPTIONS"}


def test_the_trace_of_the_request_continues_in_the_function(client: httpx.Client) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    trace = client.get("/api/context", headers={"traceparent": parent}).json()["trace"]
    assert trace.split("-")[1] == parent.split("-")[1]
    assert trace.split("-")[2] != parent.split("-")[2]
    assert client.get("/api/context").json()["trace"].split("-")[1] != parent.split("-")[1]


def test_a_chunked_body_over_the_limit_is_refused(host: RunningHost) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", host.state["port"], timeout=30)
    chunk = b"x" * 1024 * 1024
    try:
        connection.request("POST", "/api/upload", body=(chunk for _ in range(102)), encode_chunked=True)
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413
    connection.close()
    assert status == 413
    with host.client() as client:
        assert client.get("/api/hello").status_code == 200


def test_many_requests_at_once_are_all_answered(host: RunningHost) -> None:
    async def ask() -> list[int]:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=host.origin, timeout=30, limits=limits) as client:
            answers = await asyncio.gather(*[client.get("/api/hello") for _ in range(200)])
        return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200] * 200
