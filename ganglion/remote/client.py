"""How does a command call the HTTP API with a person's own token?"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx

from clients.plain_answers import PLAIN, LongAnswerError, PackedAnswerError, check_plain, read_plain
from settings import address_origin

TIMEOUT_S: Final = 60.0
MOST_BYTES: Final = 33_554_432
"""The longest answer, and the longest line of a stream: twice the largest input of a turn, which a stream repeats."""

DEFAULT_PORT: Final = "7071"


class ApiError(Exception):
    """The API rejects a request, or does not answer; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The origin of an application and the access token of its caller."""

    origin: str
    token: str = field(repr=False)


def access_from(environment: Mapping[str, str]) -> Access:
    """Read GANGLION_URL (by default this machine's app on PORT) and GANGLION_ACCESS_TOKEN; raises ApiError."""
    origin = environment.get("GANGLION_URL") or f"http://127.0.0.1:{environment.get('PORT') or DEFAULT_PORT}"
    token = environment.get("GANGLION_ACCESS_TOKEN")
    if not token:
        raise ApiError("set GANGLION_ACCESS_TOKEN to your access token; `make -s token` prints one for `make run`")
    try:
        return Access(origin=address_origin(origin), token=token)
    except ValueError as problem:
        raise ApiError(f"GANGLION_URL is {origin!r}: {problem}") from None


class ApiClient:
    """Calls the API. `http` has the application's origin and the caller's token."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, path: str, **parameters: str | int | None) -> dict[str, Any]:
        return await self.call("GET", path, parameters)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, **parameters: str | int | None
    ) -> dict[str, Any]:
        return await self.call("POST", path, parameters, body)

    async def call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str | int | None],
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        wanted = {name: value for name, value in parameters.items() if value not in (None, "")}
        try:
            async with self.http.stream(method, path, params=wanted, json=body) as answer:
                return body_of(answer, await read_plain(answer, most=MOST_BYTES))
        except (PackedAnswerError, LongAnswerError) as error:
            raise ApiError(str(error)) from None
        except httpx.HTTPError as error:
            raise unreachable(self.http, error) from None

    async def events(self, path: str, **parameters: str | int) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream until its end."""
        try:
            async with self.http.stream("GET", path, params=parameters) as answer:
                if answer.is_error:
                    body_of(answer, await read_plain(answer, most=MOST_BYTES))
                async for line in lines_of(answer):
                    if line.startswith(b"data: {"):
                        yield event_of(line)
        except (PackedAnswerError, LongAnswerError) as error:
            raise ApiError(str(error)) from None
        except httpx.HTTPError as error:
            raise unreachable(self.http, error) from None


def event_of(line: bytes) -> dict[str, Any]:
    try:
        return json.loads(line.removeprefix(b"data: "))
    except (ValueError, RecursionError):
        raise ApiError("an event of the stream is no JSON") from None


async def lines_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the lines of a stream. Raises LongAnswerError for a line of more than `MOST_BYTES`."""
    check_plain(answer)
    rest = b""
    async for chunk in answer.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MOST_BYTES:
            raise LongAnswerError(f"a line of the answer has more than {MOST_BYTES} bytes")
        for line in lines:
            yield line


def connect(access: Access) -> httpx.AsyncClient:
    headers = {**PLAIN, "authorization": f"Bearer {access.token}"}
    timeout = httpx.Timeout(TIMEOUT_S, read=None)
    return httpx.AsyncClient(base_url=access.origin, headers=headers, timeout=timeout, trust_env=False)


def body_of(answer: httpx.Response, text: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer; raises ApiError with the message of an error and its request's id."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ApiError(f"the application answers {answer.status_code} without JSON") from None
    if not isinstance(found, dict):
        raise ApiError(f"the application answers {answer.status_code} without a JSON object")
    body = cast("dict[str, Any]", found)
    if answer.is_error:
        raise ApiError(
            f"{message_of(body)} (status {answer.status_code}, {answer.headers.get('x-request-id', 'no request id')})"
        )
    return body


def message_of(body: Mapping[str, Any]) -> str:
    """Return the message of an error of the API, or of a gateway before it, which may have no object for it."""
    error: Any = body.get("error")
    message = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    return str(message or "an error without a message")


def unreachable(http: httpx.AsyncClient, error: httpx.HTTPError) -> ApiError:
    return ApiError(f"{http.base_url} does not answer ({type(error).__name__}); set GANGLION_URL, or start `make run`")
