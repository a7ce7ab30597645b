"""Which HTTP response does each error become?

Every error has OpenAI's shape and every response an `x-request-id`. Errors that the official SDKs would retry in vain
have the header `x-should-retry: false`; errors that may be retried say after how many seconds.
"""

import json
import logging
import math
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct, field
from opentelemetry.trace import SpanKind

from api.http.packed_body import ACCEPTED, UNKNOWN_CODING
from clients.clock import Clock
from domain.errors import (
    ApproverRequired,
    Conflict,
    DamagedRecord,
    Exhausted,
    Forbidden,
    GanglionError,
    Invalid,
    Locked,
    NotFound,
    RateLimited,
    Retryable,
    Unauthenticated,
)
from telemetry import names
from telemetry.refusals import report_refusal
from telemetry.spans import parent, span

type Headers = Mapping[str, str]
type Handler = Callable[..., Awaitable[Response]]

logger = logging.getLogger("ganglion.api")

NO_RETRY: dict[str, str] = {"x-should-retry": "false"}
CHALLENGE: Headers = {"www-authenticate": 'Bearer error="invalid_token"'}
RUNNING = "x-ganglion-running-response"
EXPOSED = f"x-request-id, x-should-retry, retry-after, x-ganglion-ignored, x-ganglion-cache, {RUNNING}"
"""The headers that a page of another origin may read, where the platform allows that origin."""
JSON = "application/json"
UNEXPECTED = "The server had an error while processing the request."


class ErrorResponse(Struct, frozen=True, kw_only=True):
    """The status, type and headers of an error; `code` is used where the error has none of its own."""

    status: int
    type: str = "invalid_request_error"
    code: str | None = None
    headers: Headers = field(default_factory=dict[str, str])


ERROR_RESPONSES: tuple[tuple[type[GanglionError], ErrorResponse], ...] = (
    (Unauthenticated, ErrorResponse(status=401, code="invalid_api_key", headers=CHALLENGE)),
    (ApproverRequired, ErrorResponse(status=403, code="approver_required")),
    (Forbidden, ErrorResponse(status=403, code="insufficient_permissions")),
    (NotFound, ErrorResponse(status=404)),
    (Conflict, ErrorResponse(status=409, code="conflict", headers=NO_RETRY)),
    (Exhausted, ErrorResponse(status=429, type="insufficient_quota", code="insufficient_quota", headers=NO_RETRY)),
    (RateLimited, ErrorResponse(status=429, type="rate_limit_error", code="rate_limit_exceeded")),
    (Retryable, ErrorResponse(status=503, type="server_error", code="unavailable")),
    (Invalid, ErrorResponse(status=400)),
    (DamagedRecord, ErrorResponse(status=500, type="server_error", code="damaged_record", headers=NO_RETRY)),
)

CODES: Mapping[str, ErrorResponse] = {
    "request_too_large": ErrorResponse(status=413, headers=NO_RETRY),
    "request_timeout": ErrorResponse(status=408),
    "conversation_locked": ErrorResponse(status=409, headers={"x-should-retry": "true", "retry-after": "2"}),
    "item_not_found": ErrorResponse(status=404),
    UNKNOWN_CODING: ErrorResponse(status=415, headers=NO_RETRY | {"accept-encoding": ACCEPTED}),
}
"""The codes of invalid requests that have a status of their own."""

SERVER_ERROR = ErrorResponse(status=500, type="server_error", code="server_error")


def json_answer(body: Mapping[str, Any], *, status: int = 200, headers: Headers | None = None) -> Response:
    """Return a response in JSON; ASCII only, because a backend's text may have lone surrogates."""
    content = json.dumps(body, separators=(",", ":"))
    return Response(content, status_code=status, media_type=JSON, headers=dict(headers or {}))


def error_answer(
    template: ErrorResponse, message: str, *, field: str | None = None, code: str | None = None
) -> Response:
    error = {"message": message, "type": template.type, "param": field, "code": code or template.code}
    return json_answer({"error": error}, status=template.status, headers=template.headers)


def response_to(error: GanglionError) -> Response:
    """Return the HTTP response of an error."""
    template = next((each for kind, each in ERROR_RESPONSES if isinstance(error, kind)), SERVER_ERROR)
    if isinstance(error, Invalid):
        answer = error_answer(CODES.get(error.code or "", template), str(error), field=error.field, code=error.code)
        if isinstance(error, Locked) and error.running:
            answer.headers[RUNNING] = error.running
        return answer
    if template is SERVER_ERROR:
        return error_answer(template, UNEXPECTED)
    response = error_answer(template, str(error))
    if isinstance(error, Retryable):
        response.headers["retry-after"] = str(max(1, math.ceil(error.delay_s)))
    return response


def cause_of(error: GanglionError) -> str:
    """Return the code of an error's response, for metrics; an exhausted budget also names its scope."""
    template = next((each for kind, each in ERROR_RESPONSES if isinstance(error, kind)), SERVER_ERROR)
    code = (error.code if isinstance(error, Invalid) else "") or template.code or template.type
    return f"{code}.{error.identifier}" if isinstance(error, Exhausted) else code


def with_error_responses(handler: Handler, *, name: str, clock: Clock) -> Handler:
    """Wrap the HTTP function `name`: every exception becomes an error response that reveals no secrets."""

    @wraps(handler)
    async def handle(req: Request, *args: Any, **kwargs: Any) -> Response:
        request_id = f"req_{clock.token()}"
        caller = parent(req.headers.get("traceparent", ""))
        with span(name, {names.HTTP_METHOD: req.method}, under=caller, kind=SpanKind.SERVER) as opened:
            try:
                response = await handler(req, *args, **kwargs)
            except GanglionError as error:
                if isinstance(error, DamagedRecord):
                    logger.error("%s failed (%s): %s", name, request_id, error)  # noqa: TRY400 - the message says it all
                response = response_to(error)
                report_refusal(name, request_id=request_id, status=response.status_code, cause=cause_of(error))
            except Exception as error:  # noqa: BLE001 - the entry point's one broad except
                log_unexpected(error, name, request_id)
                response = error_answer(SERVER_ERROR, UNEXPECTED)
            protect(response)
            response.headers["x-request-id"] = request_id
            response.headers["access-control-expose-headers"] = EXPOSED
            opened.set_attribute(names.HTTP_STATUS, response.status_code)
        return response

    return handle


def protect(response: Response) -> None:
    """Tell browsers and caches what they may do: JSON is the caller's own and is not kept without an ETag."""
    headers = response.headers
    headers["x-content-type-options"] = "nosniff"
    if "etag" in headers:
        headers.setdefault("cache-control", "private, no-cache")
    elif response.media_type == JSON:
        headers.setdefault("cache-control", "no-store")
    if "private" in headers.get("cache-control", ""):
        headers.add_vary_header("authorization")


def log_unexpected(error: Exception, name: str, request_id: str) -> None:
    """Log where the exception was raised, but not its message: that may contain a caller's text."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed (%s): %s\n%s", name, request_id, type(error).__name__, frames)
