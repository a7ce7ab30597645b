"""How does a command call the HTTP API with a person's own token?"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from settings import address_origin

TIMEOUT_S: Final = 60.0
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
            answer = await self.http.request(method, path, params=wanted, json=body)
        except httpx.HTTPError as error:
            raise unreachable(self.http, error) from None
        return body_of(answer)

    async def events(self, path: str, **parameters: str | int) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a stream until its end."""
        try:
            async with self.http.stream("GET", path, params=parameters) as answer:
                if answer.is_error:
                    await answer.aread()
                    body_of(answer)
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.HTTPError as error:
            raise unreachable(self.http, error) from None


def connect(access: Access) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {access.token}"}
    timeout = httpx.Timeout(TIMEOUT_S, read=None)
    return httpx.AsyncClient(base_url=access.origin, headers=headers, timeout=timeout, trust_env=False)


def body_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer; raises ApiError with the message of an error and its request's id."""
    try:
        body: dict[str, Any] = answer.json()
    except ValueError:
        raise ApiError(f"the application answers {answer.status_code} without JSON") from None
    if answer.is_error:
        message = body.get("error", {}).get("message", "")
        raise ApiError(
            f"{message} (status {answer.status_code}, {answer.headers.get('x-request-id', 'no request id')})"
        )
    return body


def unreachable(http: httpx.AsyncClient, error: httpx.HTTPError) -> ApiError:
    return ApiError(f"{http.base_url} does not answer ({type(error).__name__}); set GANGLION_URL, or start `make run`")
