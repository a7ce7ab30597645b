"""Does a command find its application, and say in one sentence what an answer lacks?"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ganglion.__main__ import Command, command_line, shown_by
from ganglion.remote import client as remote_client
from ganglion.remote import commands
from ganglion.remote.client import Access, ApiClient, ApiError, access_from, body_of

TOKEN = {"GANGLION_ACCESS_TOKEN": "t"}
LISTS: dict[str, Command] = {"turns": commands.turns, "budgets": commands.budgets, "usage": commands.usage}


@pytest.mark.parametrize(
    ("environment", "origin"),
    [
        ({}, "http://127.0.0.1:7071"),
        ({"PORT": "7072"}, "http://127.0.0.1:7072"),
        ({"PORT": "", "GANGLION_URL": ""}, "http://127.0.0.1:7071"),
        ({"GANGLION_URL": "https://app.azurewebsites.net", "PORT": "7072"}, "https://app.azurewebsites.net"),
    ],
)
def test_the_application_is_the_named_one_or_that_of_this_machine(environment: dict[str, str], origin: str) -> None:
    assert access_from({**TOKEN, **environment}) == Access(origin=origin, token="t")


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "set GANGLION_ACCESS_TOKEN to your access token; `make -s token` prints one"),
        ({**TOKEN, "GANGLION_URL": "app.azurewebsites.net"}, "GANGLION_URL is 'app.azurewebsites.net'"),
        ({**TOKEN, "GANGLION_URL": "ftp://app"}, "GANGLION_URL is 'ftp://app'"),
    ],
)
def test_what_the_environment_lacks_is_named(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(ApiError, match=problem):
        access_from(environment)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Access(origin="https://app", token="secret"))


def test_the_object_of_an_answer_is_returned() -> None:
    assert body_of(httpx.Response(200), b'{"id": "r"}') == {"id": "r"}


@pytest.mark.parametrize(
    ("status", "text", "problem"),
    [
        (404, b'{"error": {"message": "No such turn."}}', r"^No such turn\. \(status 404, req_1\)$"),
        (502, b"<html>Bad Gateway</html>", "the application answers 502 without JSON"),
        (200, b"", "the application answers 200 without JSON"),
        (200, b"[" * 100_000, "the application answers 200 without JSON"),
        (200, b"[1]", "the application answers 200 without a JSON object"),
        (403, b'{"error": "Forbidden"}', r"^Forbidden \(status 403, req_1\)$"),
        (500, b"{}", r"^an error without a message \(status 500, req_1\)$"),
    ],
)
def test_an_error_has_the_message_and_the_id_of_its_request(status: int, text: bytes, problem: str) -> None:
    with pytest.raises(ApiError, match=problem):
        body_of(httpx.Response(status, headers={"x-request-id": "req_1"}), text)


class Pieces(httpx.AsyncByteStream):
    """A body that arrives in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def client(*pieces: bytes, status: int = 200) -> ApiClient:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=Pieces(*pieces))

    return ApiClient(httpx.AsyncClient(base_url="https://app", transport=httpx.MockTransport(answer)))


async def events(*pieces: bytes, status: int = 200) -> list[dict[str, Any]]:
    return [event async for event in client(*pieces, status=status).events("/v1/responses/r")]


async def test_events_are_read_across_the_pieces_that_arrive() -> None:
    found = await events(b"event: a\nda", b'ta: {"n": 1}\n\n: ping\n\ndata: {"n"', b": 2}\n\ndata: [DONE]\n\n")
    assert found == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("pieces", "status", "problem"),
    [
        ((b'{"error": {"message": "Gone."}}',), 410, "Gone"),
        ((b'data: {"n": \n\n',), 200, "an event of the stream is no JSON"),
        ((b"data: {" + b"x" * 64,), 200, "a line of the answer has more than 32 bytes"),
    ],
)
async def test_a_stream_that_cannot_be_read_is_an_error_in_one_sentence(
    pieces: tuple[bytes, ...], status: int, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_client, "MOST_BYTES", 32)
    with pytest.raises(ApiError, match=problem):
        await events(*pieces, status=status)


async def test_an_application_that_does_not_answer_is_named() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    http = httpx.AsyncClient(base_url="https://app", transport=httpx.MockTransport(refuse))
    problem = r"https://app does not answer \(ConnectError\); set GANGLION_URL, or start `make run`"
    with pytest.raises(ApiError, match=problem):
        await ApiClient(http).get("/v1/turns")
    with pytest.raises(ApiError, match=problem):
        _ = [event async for event in ApiClient(http).events("/v1/responses/r")]


async def test_parameters_without_a_value_are_not_sent() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, stream=Pieces(b"{}"))

    http = httpx.AsyncClient(base_url="https://app", transport=httpx.MockTransport(answer))
    await ApiClient(http).get("/v1/turns", limit=0, after=None, status="", model="a b")
    assert asked == ["https://app/v1/turns?limit=0&model=a+b"]


@pytest.mark.parametrize("body", [b"{}", b'{"data": null}'])
@pytest.mark.parametrize("name", LISTS)
async def test_an_answer_of_another_service_is_an_error_in_one_sentence(name: str, body: bytes) -> None:
    options = command_line().parse_args([name])
    with pytest.raises(ApiError, match=r"not one of this release of Ganglion .*; check GANGLION_URL"):
        _ = [text async for text in shown_by(LISTS[name], client(body), options)]


async def test_an_event_of_another_service_is_an_error_in_one_sentence() -> None:
    options = command_line().parse_args(["follow", "resp_1"])
    with pytest.raises(ApiError, match="not one of this release of Ganglion"):
        _ = [text async for text in shown_by(commands.follow, client(b'data: {"n": 1}\n\n'), options)]
