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
    Retryable,
    TooMany,
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
class Posture:
    """How an error is shown; `code` is used where the error has none of its own."""

    status: int
    type: str = "invalid_request_error"
    code: str | None = None
    headers: Headers = field(default_factory=dict[str, str])


POSTURES: tuple[tuple[type[GanglionError], Posture], ...] = (
    (Unauthenticated, Posture(status=401, code="invalid_api_key", headers=CHALLENGE)),
    (Forbidden, Posture(status=403, code="insufficient_permissions")),
    (NotFound, Posture(status=404)),
    (Conflict, Posture(status=409, code="conflict", headers=NO_RETRY)),
    (Exhausted, Posture(status=429, type="insufficient_quota", code="insufficient_quota", headers=NO_RETRY)),
    (TooMany, Posture(status=429, type="rate_limit_error", code="rate_limit_exceeded")),
    (Retryable, Posture(status=503, type="server_error", code="unavailable")),
    (Invalid, Posture(status=400)),
)

CODES: Mapping[str, Posture] = {
    "request_too_large": Posture(status=413, headers=NO_RETRY),
    "conversation_locked": Posture(status=409, headers=NO_RETRY),
    "item_not_found": Posture(status=404),
}
"""Codes of a wrong request that have a status of their own."""

SERVER_ERROR = Posture(status=500, type="server_error", code="server_error")


def json_answer(body: Mapping[str, Any], *, status: int = 200, headers: Headers | None = None) -> Response:
    """Return an answer in JSON; ASCII alone, so that text of any backend can be said."""
    content = json.dumps(body, separators=(",", ":"))
    return Response(content, status_code=status, media_type="application/json", headers=dict(headers or {}))


def error_answer(posture: Posture, message: str, *, field: str | None = None, code: str | None = None) -> Response:
    error = {"message": message, "type": posture.type, "param": field, "code": code or posture.code}
    return json_answer({"error": error}, status=posture.status, headers=posture.headers)


def answer_to(error: GanglionError) -> Response:
    """Return the answer that an error of ours becomes."""
    posture = next((shown for kind, shown in POSTURES if isinstance(error, kind)), SERVER_ERROR)
    if isinstance(error, Invalid):
        return error_answer(CODES.get(error.code or "", posture), str(error), field=error.field, code=error.code)
    if posture is SERVER_ERROR:
        return error_answer(posture, UNEXPECTED)
    answer = error_answer(posture, str(error))
    if isinstance(error, Retryable):
        answer.headers["retry-after"] = str(max(1, math.ceil(error.delay_s)))
    return answer


def guarded(handler: Handler, *, name: str, clock: Clock) -> Handler:
    """Wrap the function `name`, an entry point: whatever it raises becomes an answer that tells no secrets."""

    @wraps(handler)
    async def answer(req: Request, **ports: Any) -> Response:
        request_id = f"req_{clock.token()}"
        parent = req.headers.get("traceparent", "")
        with span(name, traceparent=parent, kind=SpanKind.SERVER, http__request__method=req.method) as opened:
            try:
                response = await handler(req, **ports)
            except GanglionError as error:
                response = answer_to(error)
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
