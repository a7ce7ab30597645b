"""How does the product set the number of instances of a Cloud Run service?

The Admin API (v2) changes a service by `services.patch`: manual scaling with `manualInstanceCount` instances. The
answer is a long-running operation, and `operations.wait` returns when it is done. The fields and paths are those of
Google's client library google-cloud-run 0.16.2 (`run_v2.types.ServiceScaling`). The identity is that of the backend's
requests, with an access token instead of an ID token.
"""

import asyncio
import json
from collections.abc import Mapping
from copy import replace
from http import HTTPStatus
from typing import Any, Final, cast

import httpx

from clients.backends.credentials import Credentials, HttpCall
from clients.backends.observed_failures import transport_failure
from clients.backends.port import BackendError
from clients.plain_answers import PLAIN, read_plain
from domain.fleet.catalog import Auth, AuthKind, Backend
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.fleet.instances.scaling import InstanceControl

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
UPDATE_MASK: Final = "scaling.scalingMode,scaling.manualInstanceCount"
CALL_S: Final = 20.0
"""No call takes longer, so that none arrives late."""

OPERATION_WAIT_S: Final = 15
"""How long one `operations.wait` may wait."""

MOST_WAITS: Final = 20
"""After so many waits an operation counts as failed; whoever asked for it asks again."""

PAUSE_S: Final = 0.2
"""Between two waits, for a server that answers at once."""

MOST_BYTES: Final = 4 * 1_048_576
HTTP_STATUS: Final[Mapping[int, int]] = {7: 403, 8: 429, 9: 400, 10: 409, 13: 500, 14: 503}
"""The HTTP status of a code of google.rpc."""


class CloudRunInstances:
    """Sends the calls of all backends over one HTTP client."""

    def __init__(self, http: httpx.AsyncClient, credentials: Credentials) -> None:
        self.http = http
        self.credentials = credentials

    async def set_count(self, backend: Backend, count: int) -> str:
        """Return what `InstanceCounter.set_count` promises."""
        control = control_of(backend)
        scaling = {"scalingMode": "MANUAL", "manualInstanceCount": count}
        address = f"{control.url}/v2/{control.service}?updateMask={UPDATE_MASK}"
        operation = await self.call(backend, "PATCH", address, {"name": control.service, "scaling": scaling})
        return "" if is_done(operation) else str(operation.get("name", ""))

    async def wait(self, backend: Backend, operation: str) -> None:
        """Return what `InstanceCounter.wait` promises."""
        address = f"{control_of(backend).url}/v2/{operation}:wait"
        for _ in range(MOST_WAITS if operation else 0):
            if is_done(await self.call(backend, "POST", address, {"timeout": f"{OPERATION_WAIT_S}s"})):
                return
            await asyncio.sleep(PAUSE_S)
        if operation:
            raise BackendError(Failure(kind=FailureKind.READ_TIMEOUT, body=f"{operation} does not end"))

    async def call(self, backend: Backend, method: str, address: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the JSON object of an answer. Raises BackendError."""
        acting = replace(backend, auth=control_auth(backend))
        content = json.dumps(body).encode()
        headers = {"content-type": "application/json", **PLAIN}
        call = HttpCall(method=method, url=address, body=content)
        headers |= await self.credentials.header(acting, call)
        try:
            async with (
                asyncio.timeout(CALL_S),
                self.http.stream(method, address, content=content, headers=headers) as answer,
            ):
                found = await read_plain(answer, most=MOST_BYTES)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BackendError(transport_failure(error, text_received=False)) from error
        if not answer.is_success:
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                self.credentials.rejected(acting)
            raise BackendError(status_failure(answer.status_code, found.decode(errors="replace"), answer.headers))
        return json_object(found)


def control_of(backend: Backend) -> InstanceControl:
    if backend.instances is None:
        raise BackendError(Failure(kind=FailureKind.INEXPRESSIBLE, body=f"{backend.name} has no table instances"))
    return backend.instances


def control_auth(backend: Backend) -> Auth:
    """Return how a call of the Admin API authenticates: not at all where the backend's own requests do not."""
    if backend.auth.kind is AuthKind.NONE:
        return backend.auth
    account = control_of(backend).service_account or backend.auth.service_account
    return Auth(kind=AuthKind.GOOGLE_ACCESS_TOKEN, scope=SCOPE, service_account=account)


def is_done(operation: Mapping[str, Any]) -> bool:
    """Return whether an operation has ended. Raises BackendError where it ended in an error."""
    error = operation.get("error")
    if isinstance(error, dict):
        told = cast("Mapping[str, Any]", error)
        status = HTTP_STATUS.get(told.get("code", 0), 500)
        raise BackendError(status_failure(status, str(told.get("message", "")), {}))
    return operation.get("done") is True


def status_failure(status: int, text: str, headers: Mapping[str, str]) -> Failure:
    return Failure(kind=FailureKind.STATUS, status=status, headers=dict(headers), body=text[:BODY_CHARACTERS])


def json_object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise BackendError(Failure(kind=FailureKind.BAD_FRAME, body="the answer is no JSON")) from error
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}
