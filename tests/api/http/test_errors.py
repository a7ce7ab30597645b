"""Does every error become an answer that a client can act on, and that tells no secrets?"""

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
        {"x-should-retry": "false"},
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


async def test_a_page_of_another_origin_may_read_what_a_client_decides_by() -> None:
    readable = (await answer_to(Conflict("taken"))).headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-should-retry", "retry-after"} <= set(readable)


async def answer_to(error: Exception) -> Response:
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
    answer = await answer_to(error)
    said = error_of(answer)
    assert (answer.status_code, said["type"], said["code"], said["message"]) == (status, kind, code, "m")
    assert said["param"] == getattr(error, "field", None)
    assert headers.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), KeyError(SECRET), ConfigurationError((SECRET,)), Terminal(SECRET), OSError(SECRET)]
)
async def test_what_nobody_expected_is_500_and_secret(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await answer_to(error)
    assert (answer.status_code, error_of(answer)["message"]) == (500, UNEXPECTED)
    assert SECRET not in caplog.text


async def test_what_nobody_expected_is_logged_with_its_request_and_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await answer_to(ValueError(SECRET))
    assert answer.headers["x-request-id"] in caplog.text
    assert "ValueError" in caplog.text
    assert "test_errors.py" in caplog.text


async def test_a_guarded_function_looks_to_the_host_as_it_did() -> None:
    class Handlers:
        async def create(self, req: Request, client: Any) -> Response:
            return Response(str(client))

    handlers = Handlers()
    safe = with_error_responses(handlers.create, name="http_test", clock=FakeClock())
    assert list(inspect.signature(safe).parameters) == ["req", "client"]
    assert inspect.get_annotations(safe) == inspect.get_annotations(handlers.create)
    assert (await safe(req=request(), client="c")).body == b"c"
