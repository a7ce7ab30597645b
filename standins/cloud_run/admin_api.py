"""How does Cloud Run's Admin API (v2) set the number of instances of the service, slowly or not at all?

The paths and fields are those of Google's client library google-cloud-run: `services.patch`, `services.get`,
`operations.get` and `operations.wait`.
"""

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import jwt
from aiohttp import web

from standins.cloud_run.instance_pool import InstancePool
from standins.cloud_run.invoker_check import BEARER, GoogleKeySet
from standins.json_values import body_object, json_object

OPAQUE = "ya29.d."
"""The prefix of an access token of the issuer's stand-in, and its audience."""

SERVICE = "/v2/projects/{project}/locations/{location}/services/{service}"
OPERATION = "/v2/projects/{project}/locations/{location}/operations/{operation}"
SERVICE_TYPE = "type.googleapis.com/google.cloud.run.v2.Service"
MASK = {"scaling.scalingMode", "scaling.manualInstanceCount"}
LONGEST_WAIT_S = 60.0
GRPC_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
DENIED = "Permission 'run.services.update' denied on resource '{path}' (or it may not exist)."
NO_TOKEN = "Request had invalid authentication credentials. Expected OAuth 2 access token."  # noqa: S105 - a message


@dataclass(slots=True, kw_only=True)
class EditorCheck:
    """`editors` are the accounts that may change the service; `keys` verify the access tokens."""

    keys: GoogleKeySet
    clock: Callable[[], float]
    editors: frozenset[str]

    async def status(self, authorization: str | None) -> int:
        """Gives 200 for an account that may change the service, else the status of the refusal."""
        if authorization is None or authorization[: len(BEARER)].lower() != BEARER:
            return 401
        token = authorization[len(BEARER) :].strip().removeprefix(OPAQUE)
        try:
            key = await self.keys.find(str(jwt.get_unverified_header(token).get("kid")))
            options: Any = {"verify_exp": False}
            claims = jwt.decode(token, key, algorithms=["RS256"], audience=OPAQUE, options=options) if key else {}
        except (jwt.InvalidTokenError, aiohttp.ClientError):
            return 401
        if float(claims.get("exp", 0)) <= self.clock():
            return 401
        return 200 if claims.get("sub") in self.editors else 403


@dataclass(slots=True, kw_only=True)
class Operation:
    """A change of a service, by its name, to a count; `done` is set when it has ended."""

    name: str
    service: str
    count: int
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def to_json(self) -> dict[str, Any]:
        service = {"@type": SERVICE_TYPE, **service_json(self.service, self.count)}
        ended = {"done": True, "response": service} if self.done.is_set() else {}
        return {"name": self.name, "metadata": service, **ended}


class AdminApi:
    """`editor_check` None lets every caller change the service."""

    def __init__(self, pool: InstancePool, editor_check: EditorCheck | None) -> None:
        self.pool = pool
        self.editor_check = editor_check
        self.operations: dict[str, Operation] = {}
        self.numbers = itertools.count(1)
        self.changes: set[asyncio.Task[None]] = set()
        self.lock = asyncio.Lock()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(SERVICE, self.get_service)
        router.add_patch(SERVICE, self.patch_service)
        router.add_get(OPERATION, self.get_operation)
        router.add_post(OPERATION + ":wait", self.wait_operation)

    async def get_service(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/v2/")
        return await self.rejection(request) or web.json_response(service_json(name, self.pool.manual_count))

    async def patch_service(self, request: web.Request) -> web.Response:
        """Begins the change of the count, and answers with the operation; one change at a time, as Google does."""
        if rejected := await self.rejection(request):
            return rejected
        count = manual_count(await request.read(), request.query.get("updateMask", ""))
        if count is None:
            return error(400, f"expected updateMask={','.join(sorted(MASK))} and a MANUAL scaling")
        if self.lock.locked():
            return error(409, "Conflict for resource: another operation is in progress.")
        service = request.path.removeprefix("/v2/")
        name = f"{service.rpartition('/services/')[0]}/operations/{next(self.numbers)}"
        operation = self.operations[name] = Operation(name=name, service=service, count=count)
        task = asyncio.create_task(self.change(operation))
        self.changes.add(task)
        task.add_done_callback(self.changes.discard)
        await asyncio.sleep(0)
        return web.json_response(operation.to_json())

    async def change(self, operation: Operation) -> None:
        """Starts instances at once, and ends those that are too many when the operation does."""
        async with self.lock:
            if operation.count > len(self.pool.instances):
                self.pool.set_count(operation.count)
            await asyncio.sleep(self.pool.options.real_seconds(self.pool.options.count_delay))
            self.pool.set_count(operation.count)
            operation.done.set()

    async def get_operation(self, request: web.Request) -> web.Response:
        if rejected := await self.rejection(request):
            return rejected
        found = self.operations.get(request.path.removeprefix("/v2/"))
        return error(404, "operation not found") if found is None else web.json_response(found.to_json())

    async def wait_operation(self, request: web.Request) -> web.Response:
        """Answers when the operation is done, or after the timeout of the request."""
        if rejected := await self.rejection(request):
            return rejected
        found = self.operations.get(request.path.removeprefix("/v2/").removesuffix(":wait"))
        if found is None:
            return error(404, "operation not found")
        wait_s = asked_wait_s(await request.read())
        if wait_s is None:
            return error(400, "expected a timeout such as 30s")
        try:
            async with asyncio.timeout(min(wait_s, LONGEST_WAIT_S)):
                await found.done.wait()
        except TimeoutError:
            pass
        return web.json_response(found.to_json())

    async def rejection(self, request: web.Request) -> web.Response | None:
        if failure := self.pool.options.count_failure:
            return error(failure, "the stand-in fails every call, because --count-failure is set")
        if self.editor_check is None:
            return None
        status = await self.editor_check.status(request.headers.get("Authorization"))
        if status == 200:  # noqa: PLR2004 - the status that means yes
            return None
        return error(status, NO_TOKEN if status == 401 else DENIED.format(path=request.path))  # noqa: PLR2004 - as above


def asked_wait_s(body: bytes) -> float | None:
    """Gives the timeout that a request asks for; None where it is not such a request."""
    try:
        asked = body_object(body or b"{}").get("timeout", "30s")
        wait_s = float(str(asked).removesuffix("s"))
    except ValueError:
        return None
    return wait_s if wait_s >= 0 else None


def service_json(name: str, count: int | None) -> dict[str, Any]:
    scaling = {} if count is None else {"scalingMode": "MANUAL", "manualInstanceCount": count}
    return {"name": name, "scaling": scaling}


def manual_count(body: bytes, mask: str) -> int | None:
    """Gives the number of instances that a patch asks for; None where it is not such a patch."""
    try:
        scaling = (json_object(json.loads(body)) or {}).get("scaling")
    except ValueError:
        return None
    if not isinstance(scaling, dict):
        return None
    scaling = cast("dict[str, Any]", scaling)
    count = scaling.get("manualInstanceCount")
    if set(mask.split(",")) not in (MASK, {"scaling"}) or scaling.get("scalingMode") not in ("MANUAL", 2):
        return None
    return count if type(count) is int and count >= 0 else None


def error(status: int, message: str) -> web.Response:
    named = GRPC_NAMES.get(status, "UNKNOWN")
    return web.json_response({"error": {"code": status, "message": message, "status": named}}, status=status)
