"""Which HTTP endpoints start, query and control orchestrations?"""

import re
from collections.abc import Callable
from copy import replace
from math import isfinite, nan
from uuid import uuid4

from aiohttp import web

from devhost.app.settings import HostSettings
from devhost.clock import now
from devhost.engine.engine import Engine
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.instances import (
    TERMINAL_STATUSES,
    InstanceEndedError,
    InstanceNotFailedError,
    InstanceNotFoundError,
    InstanceRunningError,
    OrchestrationInstance,
    OrchestrationStart,
    RuntimeStatus,
    TaskHubUnavailableError,
)
from devhost.engine.model.rewind import restart_of
from devhost.protocol_v1.client import management_urls
from devhost.protocol_v1.entity_rest import EntityApi
from devhost.protocol_v1.history import json_or_text
from devhost.protocol_v1.rest_errors import Handler, RequestRejectedError, error_response, json_body
from devhost.protocol_v1.status import (
    continuation_token,
    flag,
    parts_from_query,
    query_from_wire,
    status_code,
    status_to_wire,
)

CONTINUATION_HEADER = "x-ms-continuation-token"
MAX_ID_LENGTH = 256
RETRY_AFTER_S = "1"
INSTANCE_ID = re.compile(r"[^@/\\#?\x00-\x1f\x7f-\x9f][^/\\#?\x00-\x1f\x7f-\x9f]*")


def with_error_responses(handler: Handler) -> Handler:
    """Converts the exceptions of the engine and of its database to responses."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except RequestRejectedError as error:
            return error_response(error.status, str(error))
        except InstanceNotFoundError:
            return error_response(404, "No instance with this id exists.")
        except InstanceEndedError:
            return web.Response(status=410)
        except TaskHubUnavailableError as error:
            return unavailable(str(error))

    return handle


def unavailable(reason: str) -> web.Response:
    response = error_response(503, f"The task hub's database fails: {reason}. Nothing was changed: retry the request.")
    response.headers["Retry-After"] = RETRY_AFTER_S
    return response


def seconds_parameter(request: web.Request, name: str) -> float:
    try:
        found = float(request.query.get(name, "1"))
    except ValueError:
        found = nan
    if not isfinite(found):
        raise RequestRejectedError(400, f"{name} is not a number of seconds.")
    return found


def instance_id(request: web.Request) -> str:
    found = request.match_info.get("id") or uuid4().hex
    if len(found) > MAX_ID_LENGTH or not INSTANCE_ID.fullmatch(found):
        raise RequestRejectedError(
            400, "An instance id must have 1 to 256 characters, must not contain / \\ # ? and must not start with @."
        )
    return found


def case_insensitive(path: str) -> str:
    """Like the real host, matches the words of a path in any case."""
    parts = path.split("/")
    return "/".join(
        f"{{word{n}:(?i:{part})}}" if part and not part.startswith("{") else part for n, part in enumerate(parts)
    )


def control_event(request: web.Request, kind: HistoryEventKind) -> HistoryEvent:
    return HistoryEvent(kind=kind, at=now(), reason=request.query.get("reason", ""))


def wrong_state(verb: str, found: OrchestrationInstance) -> web.Response:
    """The real host answers this with a 500 as well."""
    reason = f"Cannot {verb} the orchestration instance {found.id} because instance is in the {found.status} state."
    return error_response(500, "Something went wrong while processing your request", reason)


class ManagementApi:
    """`key` is part of the URLs that it returns; `trace_of` finds the trace of a running invocation."""

    def __init__(
        self, *, engine: Engine, settings: HostSettings, key: str, trace_of: Callable[[str], str | None]
    ) -> None:
        self.engine = engine
        self.key = key
        self.settings = settings
        self.trace_of = trace_of

    def add_to(self, application: web.Application, prefix: str) -> None:
        one = f"{prefix}/instances/{{id}}"
        routes: list[tuple[str, str, Handler]] = [
            ("POST", f"{prefix}/orchestrators/{{name}}", self.start),
            ("POST", f"{prefix}/orchestrators/{{name}}/{{id}}", self.start),
            ("GET", f"{prefix}/instances", self.query),
            ("GET", f"{prefix}/instances/", self.query),
            ("DELETE", f"{prefix}/instances", self.purge_matching),
            ("DELETE", f"{prefix}/instances/", self.purge_matching),
            ("GET", one, self.get),
            ("DELETE", one, self.purge),
            ("POST", f"{one}/raiseEvent/{{event}}", self.raise_event),
            ("POST", f"{one}/terminate", self.terminate),
            ("POST", f"{one}/suspend", self.suspend),
            ("POST", f"{one}/resume", self.resume),
            ("POST", f"{one}/rewind", self.rewind),
            ("POST", f"{one}/restart", self.restart),
        ]
        routes += EntityApi(entities=self.engine.entities).routes(prefix)
        for method, path, handler in routes:
            application.router.add_route(
                method, prefix + case_insensitive(path.removeprefix(prefix)), with_error_responses(handler)
            )

    async def start(self, request: web.Request) -> web.Response:
        start = OrchestrationStart(
            id=instance_id(request),
            execution=uuid4().hex,
            name=request.match_info["name"],
            at=now(),
            input=await json_body(request),
            version=request.query.get("version", self.settings.versions.default),
            trace=self.trace(request),
        )
        return await self.start_instance(request, start)

    async def start_instance(self, request: web.Request, start: OrchestrationStart) -> web.Response:
        try:
            await self.engine.start(start, replace_running=self.settings.replace_running)
        except InstanceRunningError as error:
            return error_response(409, str(error))
        return await self.started_response(request, start.id)

    def trace(self, request: web.Request) -> str | None:
        return request.headers.get("traceparent") or self.trace_of(request.match_info.get("invocation", ""))

    async def started_response(self, request: web.Request, instance: str) -> web.Response:
        """The URLs of a new instance, or its result if the query sets `timeout` and `pollingInterval`."""
        if {"timeout", "pollingInterval"} <= set(request.query):
            ended = await self.wait_for_completion(instance, request)
            if ended is not None:
                return ended
        addresses = management_urls(str(request.url.origin()), self.settings.task_hub, self.key, instance)
        body = {"id": instance, **{name: url for name, url in addresses.items() if name != "rewindPostUri"}}
        headers = {"Location": addresses["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(body, status=202, headers=headers)

    async def wait_for_completion(self, instance: str, request: web.Request) -> web.Response | None:
        """Completion notifies this request, so nothing is polled."""
        seconds_parameter(request, "pollingInterval")
        found = await self.engine.wait_for_completion(instance, seconds_parameter(request, "timeout"))
        return None if found is None else self.completed_response(found, request)

    @staticmethod
    def completed_response(instance: OrchestrationInstance, request: web.Request) -> web.Response:
        if instance.status is RuntimeStatus.COMPLETED:
            return web.json_response(json_or_text(instance.output))
        return web.json_response(
            status_to_wire(instance, parts_from_query(request.query)), status=status_code(instance, request.query)
        )

    async def get(self, request: web.Request) -> web.Response:
        show = parts_from_query(request.query)
        found = await self.engine.get(request.match_info["id"])
        if found is None:
            return error_response(404, "No instance with this id exists.")
        history = await self.engine.history(found.id) if show.history else None
        code = status_code(found, request.query)
        headers = {"Location": str(request.url), "Retry-After": "5"} if code == 202 else None  # noqa: PLR2004 - the status above
        return web.json_response(status_to_wire(found, show, history), status=code, headers=headers)

    async def query(self, request: web.Request) -> web.Response:
        show = parts_from_query(request.query)
        try:
            query = query_from_wire(request.query, request.headers.get(CONTINUATION_HEADER))
        except ValueError as error:
            raise RequestRejectedError(400, str(error)) from None
        found = await self.engine.query(query)
        full = found and len(found) == query.limit
        headers = {CONTINUATION_HEADER: continuation_token(found[-1])} if full else None
        return web.json_response([status_to_wire(one, show) for one in found], headers=headers)

    async def raise_event(self, request: web.Request) -> web.Response:
        await self.running_instance(request)
        if request.content_type != "application/json":
            raise RequestRejectedError(400, "Only application/json request content is supported")
        name, text = request.match_info["event"], await json_body(request)
        event = HistoryEvent(
            kind=HistoryEventKind.EVENT_RAISED, at=now(), name=name, input=text if text is not None else "null"
        )
        return await self.send(request, event)

    async def terminate(self, request: web.Request) -> web.Response:
        return await self.send(request, control_event(request, HistoryEventKind.TERMINATED))

    async def suspend(self, request: web.Request) -> web.Response:
        found = await self.running_instance(request)
        if found.status is RuntimeStatus.SUSPENDED:
            return wrong_state("suspend", found)
        return await self.send(request, control_event(request, HistoryEventKind.SUSPENDED))

    async def resume(self, request: web.Request) -> web.Response:
        found = await self.running_instance(request)
        if found.status is not RuntimeStatus.SUSPENDED:
            return wrong_state("resume", found)
        return await self.send(request, control_event(request, HistoryEventKind.RESUMED))

    async def running_instance(self, request: web.Request) -> OrchestrationInstance:
        """Raises InstanceNotFoundError or InstanceEndedError."""
        name = request.match_info["id"]
        found = await self.engine.get(name)
        if found is None:
            raise InstanceNotFoundError(name)
        if found.status in TERMINAL_STATUSES:
            raise InstanceEndedError(name)
        return found

    async def send(self, request: web.Request, event: HistoryEvent) -> web.Response:
        await self.engine.send(request.match_info["id"], event)
        return web.Response(status=202)

    async def purge(self, request: web.Request) -> web.Response:
        try:
            await self.engine.purge(request.match_info["id"])
        except InstanceRunningError as error:
            return error_response(412, str(error))
        return web.json_response({"instancesDeleted": 1})

    async def purge_matching(self, request: web.Request) -> web.Response:
        if "createdTimeFrom" not in request.query:
            raise RequestRejectedError(400, "Please provide value for 'createdTimeFrom' parameter.")
        try:
            deleted = await self.engine.purge_matching(query_from_wire(request.query))
        except ValueError as error:
            raise RequestRejectedError(400, str(error)) from None
        return web.json_response({"instancesDeleted": deleted}, status=200 if deleted else 404)

    async def rewind(self, request: web.Request) -> web.Response:
        try:
            await self.engine.rewind(request.match_info["id"], request.query.get("reason", ""))
        except InstanceNotFailedError:
            return error_response(412, "Only a failed instance can be rewound.")
        return web.Response(status=202)

    async def restart(self, request: web.Request) -> web.Response:
        """Starts the orchestration again with the same input and the current default version."""
        found = await self.engine.get(request.match_info["id"])
        if found is None:
            raise RequestRejectedError(400, "InstanceId does not match a valid orchestration instance.")
        new_id = flag(request.query, "restartWithNewInstanceId", default=True)
        again = restart_of(found, now(), uuid4().hex if new_id else found.id)
        return await self.start_instance(request, replace(again, version=self.settings.versions.default))
