"""What does a caller see when something goes wrong?

Every error has OpenAI's shape, and every answer its `x-request-id`. What the official SDKs would repeat in vain says
`x-should-retry: false`; what they may repeat says when.
"""

import json
import logging
import math
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response
from opentelemetry.trace import SpanKind

from clients.clock import Clock
from domain.errors import (
    Conflict,
    Exhausted,
    Forbidden,
    GanglionError,
    Invalid,
    NotFound,
    RateLimited,
    Retryable,
    Unauthenticated,
)
from telemetry import span

type Headers = Mapping[str, str]
type Handler = Callable[..., Awaitable[Response]]

logger = logging.getLogger("ganglion.api")

NO_RETRY: Headers = {"x-should-retry": "false"}
CHALLENGE: Headers = {"www-authenticate": 'Bearer error="invalid_token"'}
EXPOSED = "x-request-id, x-should-retry, retry-after, x-ganglion-ignored"
"""What a page of another origin may read of the headers, where the platform lets that origin call."""
UNEXPECTED = "The server had an error while it handled the request."


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResponse:
    """How an error is shown; `code` is used where the error has none of its own."""

    status: int
    type: str = "invalid_request_error"
    code: str | None = None
    headers: Headers = field(default_factory=dict[str, str])


ERROR_RESPONSES: tuple[tuple[type[GanglionError], ErrorResponse], ...] = (
    (Unauthenticated, ErrorResponse(status=401, code="invalid_api_key", headers=CHALLENGE)),
    (Forbidden, ErrorResponse(status=403, code="insufficient_permissions")),
    (NotFound, ErrorResponse(status=404)),
    (Conflict, ErrorResponse(status=409, code="conflict", headers=NO_RETRY)),
    (Exhausted, ErrorResponse(status=429, type="insufficient_quota", code="insufficient_quota", headers=NO_RETRY)),
    (RateLimited, ErrorResponse(status=429, type="rate_limit_error", code="rate_limit_exceeded")),
    (Retryable, ErrorResponse(status=503, type="server_error", code="unavailable")),
    (Invalid, ErrorResponse(status=400)),
)

CODES: Mapping[str, ErrorResponse] = {
    "request_too_large": ErrorResponse(status=413, headers=NO_RETRY),
    "conversation_locked": ErrorResponse(status=409, headers=NO_RETRY),
    "item_not_found": ErrorResponse(status=404),
}
"""Codes of a wrong request that have a status of their own."""

SERVER_ERROR = ErrorResponse(status=500, type="server_error", code="server_error")


def json_answer(body: Mapping[str, Any], *, status: int = 200, headers: Headers | None = None) -> Response:
    """Return an answer in JSON; ASCII alone, so that text of any backend can be said."""
    content = json.dumps(body, separators=(",", ":"))
    return Response(content, status_code=status, media_type="application/json", headers=dict(headers or {}))


def error_answer(
    posture: ErrorResponse, message: str, *, field: str | None = None, code: str | None = None
) -> Response:
    error = {"message": message, "type": posture.type, "param": field, "code": code or posture.code}
    return json_answer({"error": error}, status=posture.status, headers=posture.headers)


def response_to(error: GanglionError) -> Response:
    """Return the answer that an error of ours becomes."""
    posture = next((shown for kind, shown in ERROR_RESPONSES if isinstance(error, kind)), SERVER_ERROR)
    if isinstance(error, Invalid):
        return error_answer(CODES.get(error.code or "", posture), str(error), field=error.field, code=error.code)
    if posture is SERVER_ERROR:
        return error_answer(posture, UNEXPECTED)
    answer = error_answer(posture, str(error))
    if isinstance(error, Retryable):
        answer.headers["retry-after"] = str(max(1, math.ceil(error.delay_s)))
    return answer


def with_error_responses(handler: Handler, *, name: str, clock: Clock) -> Handler:
    """Wrap the function `name`, an entry point: whatever it raises becomes an answer that tells no secrets."""

    @wraps(handler)
    async def answer(req: Request, **ports: Any) -> Response:
        request_id = f"req_{clock.token()}"
        parent = req.headers.get("traceparent", "")
        with span(name, traceparent=parent, kind=SpanKind.SERVER, http__request__method=req.method) as opened:
            try:
                response = await handler(req, **ports)
            except GanglionError as error:
                response = response_to(error)
            except Exception as error:  # noqa: BLE001 - the entry point's one broad except
                log_unexpected(error, name, request_id)
                response = error_answer(SERVER_ERROR, UNEXPECTED)
            response.headers["x-request-id"] = request_id
            response.headers["access-control-expose-headers"] = EXPOSED
            opened.set_attribute("http.response.status_code", response.status_code)
        return response

    return answer


def log_unexpected(error: Exception, name: str, request_id: str) -> None:
    """Log where it happened, and never what an exception says: that may be a caller's text."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s of %s failed: %s\n%s", request_id, name, type(error).__name__, frames)
