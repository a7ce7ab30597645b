"""Does every error become a response that a client can act on and that reveals no secrets?"""

import inspect
import json
import logging
from typing import Any

import pytest
from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import UNEXPECTED, with_error_responses
from domain.errors import (
    ConfigurationError,
    Conflict,
    Exhausted,
    Forbidden,
    GanglionError,
    Invalid,
    Locked,
    NotFound,
    Retryable,
    Terminal,
    Unauthenticated,
    Unavailable,
    UnknownOutcome,
)
from tests.fakes.clocks import FakeClock

SECRET = "the caller's secret"

ANSWERS: list[tuple[GanglionError, int, str, str | None, dict[str, str]]] = [
    (Invalid("m", field="a.b", code="invalid_type"), 400, "invalid_request_error", "invalid_type", {}),
    (Invalid("m"), 400, "invalid_request_error", None, {}),
    (Invalid("m", code="request_too_large"), 413, "invalid_request_error", "request_too_large", {}),
    (
        Invalid("m", code="conversation_locked"),
        409,
        "invalid_request_error",
        "conversation_locked",
        {"x-should-retry": "true", "retry-after": "2"},
    ),
    (
        Locked("m", field="conversation", running="resp_1"),
        409,
        "invalid_request_error",
        "conversation_locked",
        {"x-should-retry": "true", "retry-after": "2", "x-ganglion-running-response": "resp_1"},
    ),
    (Unauthenticated("m"), 401, "invalid_request_error", "invalid_api_key", {}),
    (Forbidden("m"), 403, "invalid_request_error", "insufficient_permissions", {}),
    (NotFound("m"), 404, "invalid_request_error", None, {}),
    (Conflict("m"), 409, "invalid_request_error", "conflict", {"x-should-retry": "false"}),
    (Exhausted("m"), 429, "insufficient_quota", "insufficient_quota", {"x-should-retry": "false"}),
    (Unavailable("m", delay_s=2.2), 503, "server_error", "unavailable", {"retry-after": "3"}),
    (UnknownOutcome("m"), 503, "server_error", "unavailable", {"retry-after": "1"}),
    (Retryable("m"), 503, "server_error", "unavailable", {"retry-after": "1"}),
]


def request() -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})


async def test_a_page_of_another_origin_may_read_the_headers_for_retries() -> None:
    readable = (await response_for(Conflict("taken"))).headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-should-retry", "retry-after"} <= set(readable)


async def response_for(error: Exception) -> Response:
    async def handler(req: Request) -> Response:
        raise error

    return await with_error_responses(handler, name="http_test", clock=FakeClock())(req=request())


def error_of(answer: Response) -> dict[str, Any]:
    assert answer.headers["x-request-id"].startswith("req_")
    body = json.loads(bytes(answer.body))
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


@pytest.mark.parametrize(("error", "status", "kind", "code", "headers"), ANSWERS)
async def test_an_error_has_its_status_shape_and_headers(
    error: GanglionError, status: int, kind: str, code: str | None, headers: dict[str, str]
) -> None:
    answer = await response_for(error)
    body = error_of(answer)
    assert (answer.status_code, body["type"], body["code"], body["message"]) == (status, kind, code, "m")
    assert body["param"] == getattr(error, "field", None)
    assert headers.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), KeyError(SECRET), ConfigurationError((SECRET,)), Terminal(SECRET), OSError(SECRET)]
)
async def test_an_unexpected_exception_is_500_and_its_message_stays_secret(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await response_for(error)
    assert (answer.status_code, error_of(answer)["message"]) == (500, UNEXPECTED)
    assert SECRET not in caplog.text


async def test_an_unexpected_exception_is_logged_with_request_id_and_location(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await response_for(ValueError(SECRET))
    assert answer.headers["x-request-id"] in caplog.text
    assert "ValueError" in caplog.text
    assert "test_errors.py" in caplog.text


async def test_a_wrapped_handler_keeps_its_signature() -> None:
    class Handlers:
        async def create(self, req: Request, client: Any) -> Response:
            return Response(str(client))

    handlers = Handlers()
    safe = with_error_responses(handlers.create, name="http_test", clock=FakeClock())
    assert list(inspect.signature(safe).parameters) == ["req", "client"]
    assert inspect.get_annotations(safe) == inspect.get_annotations(handlers.create)
    assert (await safe(req=request(), client="c")).body == b"c"


async def test_a_wrapped_handler_takes_its_arguments_by_position_too() -> None:
    """The next major version of the durable SDK passes the client by position."""

    async def create(req: Request, client: Any) -> Response:
        return Response(str(client))

    safe = with_error_responses(create, name="http_test", clock=FakeClock())
    assert (await safe(request(), "c")).body == b"c"
    assert (await safe(request(), client="c")).body == b"c"


PROTECTED = {
    "json": (Response("{}", media_type="application/json"), "no-store", None),
    "json with an etag": (
        Response("{}", media_type="application/json", headers={"etag": '"1"'}),
        "private, no-cache",
        "authorization",
    ),
    "json with a rule of its own": (
        Response("{}", media_type="application/json", headers={"cache-control": "max-age=60"}),
        "max-age=60",
        None,
    ),
    "a stream": (
        Response("", media_type="text/event-stream", headers={"cache-control": "no-cache"}),
        "no-cache",
        None,
    ),
    "a file": (Response("", media_type="text/css"), None, None),
}


@pytest.mark.parametrize(("response", "cache", "vary"), PROTECTED.values(), ids=PROTECTED)
async def test_an_answer_says_how_it_may_be_used(response: Response, cache: str | None, vary: str | None) -> None:
    async def handler(req: Request) -> Response:
        return response

    guarded = with_error_responses(handler, name="test", clock=FakeClock())
    answer = await guarded(req=Request({"type": "http", "method": "GET", "headers": []}))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (answer.headers.get("cache-control"), answer.headers.get("vary")) == (cache, vary)
