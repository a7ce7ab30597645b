"""How do durable clients talk to the engine over HTTP?"""

import re
from collections.abc import Callable
from dataclasses import replace
from math import isfinite, nan
from uuid import uuid4

from aiohttp import web

from devhost.app.settings import HostSettings
from devhost.clock import now
from devhost.engine.engine import Engine
from devhost.engine.model.events import EventKind, HistoryEvent
from devhost.engine.model.instances import (
    TERMINAL_STATUSES,
    InstanceEndedError,
    InstanceNotFailedError,
    InstanceNotFoundError,
    InstanceRunningError,
    OrchestrationInstance,
    OrchestrationStart,
    RuntimeStatus,
)
from devhost.engine.model.rewind import restart_of
from devhost.protocol_v1.client import links
from devhost.protocol_v1.entity_rest import EntityApi
from devhost.protocol_v1.history import parsed
from devhost.protocol_v1.rest_errors import Handler, RefusedError, json_body, refused
from devhost.protocol_v1.status import flag, query_from_wire, show_from_query, status_code, status_to_wire, token_of

PAGE = "x-ms-continuation-token"
LONGEST_ID = 256
ID = re.compile(r"[^@/\\#?\x00-\x1f\x7f-\x9f][^/\\#?\x00-\x1f\x7f-\x9f]*")


def answering(handler: Handler) -> Handler:
    """What the engine raises, as the API says it."""

    async def answered(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except RefusedError as error:
            return refused(error.status, str(error))
        except InstanceNotFoundError:
            return refused(404, "No instance with this id exists.")
        except InstanceEndedError:
            return web.Response(status=410)

    return answered


def seconds_of(request: web.Request, name: str) -> float:
    try:
        found = float(request.query.get(name, "1"))
    except ValueError:
        found = nan
    if not isfinite(found):
        raise RefusedError(400, f"{name} is not a number of seconds.")
    return found


def instance_id(request: web.Request) -> str:
    found = request.match_info.get("id") or uuid4().hex
    if len(found) > LONGEST_ID or not ID.fullmatch(found):
        raise RefusedError(400, "An instance id is 1 to 256 characters, without / \\ # ?, and does not start with @.")
    return found


def any_case(path: str) -> str:
    """The words of a path may be written in capitals too, as the real host allows."""
    parts = path.split("/")
    return "/".join(
        f"{{word{n}:(?i:{part})}}" if part and not part.startswith("{") else part for n, part in enumerate(parts)
    )


def event_of(request: web.Request, kind: EventKind) -> HistoryEvent:
    return HistoryEvent(kind=kind, at=now(), reason=request.query.get("reason", ""))


def wrong_state(verb: str, found: OrchestrationInstance) -> web.Response:
    """The real host fails over this."""
    reason = f"Cannot {verb} the orchestration instance {found.id} because instance is in the {found.status} state."
    return refused(500, "Something went wrong while processing your request", reason)


class DurableApi:
    """`code` is the key in the addresses it hands out; `trace_of` tells the trace of an invocation that is running."""

    def __init__(
        self, *, engine: Engine, settings: HostSettings, code: str, trace_of: Callable[[str], str | None]
    ) -> None:
        self.engine = engine
        self.code = code
        self.settings = settings
        self.trace_of = trace_of

    def add_to(self, application: web.Application, prefix: str) -> None:
        one = f"{prefix}/instances/{{id}}"
        routes: list[tuple[str, str, Handler]] = [
            ("POST", f"{prefix}/orchestrators/{{name}}", self.start),
            ("POST", f"{prefix}/orchestrators/{{name}}/{{id}}", self.start),
            ("GET", f"{prefix}/instances", self.query),
            ("GET", f"{prefix}/instances/", self.query),
            ("DELETE", f"{prefix}/instances", self.purge_many),
            ("DELETE", f"{prefix}/instances/", self.purge_many),
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
            application.router.add_route(method, prefix + any_case(path.removeprefix(prefix)), answering(handler))

    async def start(self, request: web.Request) -> web.Response:
        start = OrchestrationStart(
            id=instance_id(request),
            execution=uuid4().hex,
            name=request.match_info["name"],
            at=now(),
            input=await json_body(request),
            version=request.query.get("version", self.settings.versions.own),
            trace=self.trace(request),
        )
        return await self.begin(request, start)

    async def begin(self, request: web.Request, start: OrchestrationStart) -> web.Response:
        try:
            await self.engine.start(start, replace_running=self.settings.replaces_running)
        except InstanceRunningError as error:
            return refused(409, str(error))
        return await self.started(request, start.id)

    def trace(self, request: web.Request) -> str | None:
        return request.headers.get("traceparent") or self.trace_of(request.match_info.get("invocation", ""))

    async def started(self, request: web.Request, instance: str) -> web.Response:
        """The addresses of a new instance; with `timeout` and `pollingInterval`, its result if it comes in time."""
        if {"timeout", "pollingInterval"} <= set(request.query):
            ended = await self.wait(instance, request)
            if ended is not None:
                return ended
        addresses = links(str(request.url.origin()), self.settings.hub, self.code, instance)
        body = {"id": instance, **{name: url for name, url in addresses.items() if name != "rewindPostUri"}}
        headers = {"Location": addresses["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(body, status=202, headers=headers)

    async def wait(self, instance: str, request: web.Request) -> web.Response | None:
        """Nobody polls here: the end itself answers."""
        seconds_of(request, "pollingInterval")
        found = await self.engine.wait_for_completion(instance, seconds_of(request, "timeout"))
        return None if found is None else self.ended(found, request)

    @staticmethod
    def ended(instance: OrchestrationInstance, request: web.Request) -> web.Response:
        if instance.status is RuntimeStatus.COMPLETED:
            return web.json_response(parsed(instance.output))
        return web.json_response(
            status_to_wire(instance, show_from_query(request.query)), status=status_code(instance, request.query)
        )

    async def get(self, request: web.Request) -> web.Response:
        show = show_from_query(request.query)
        found = await self.engine.get(request.match_info["id"])
        if found is None:
            return refused(404, "No instance with this id exists.")
        history = await self.engine.history(found.id) if show.history else None
        code = status_code(found, request.query)
        headers = {"Location": str(request.url), "Retry-After": "5"} if code == 202 else None  # noqa: PLR2004 - the status above
        return web.json_response(status_to_wire(found, show, history), status=code, headers=headers)

    async def query(self, request: web.Request) -> web.Response:
        show = show_from_query(request.query)
        try:
            query = query_from_wire(request.query, request.headers.get(PAGE))
        except ValueError as error:
            raise RefusedError(400, str(error)) from None
        found = await self.engine.query(query)
        full = found and len(found) == query.limit
        headers = {PAGE: token_of(found[-1])} if full else None
        return web.json_response([status_to_wire(one, show) for one in found], headers=headers)

    async def raise_event(self, request: web.Request) -> web.Response:
        await self.running(request)
        if request.content_type != "application/json":
            raise RefusedError(400, "Only application/json request content is supported")
        name, text = request.match_info["event"], await json_body(request)
        event = HistoryEvent(
            kind=EventKind.EVENT_RAISED, at=now(), name=name, input=text if text is not None else "null"
        )
        return await self.send(request, event)

    async def terminate(self, request: web.Request) -> web.Response:
        return await self.send(request, event_of(request, EventKind.TERMINATED))

    async def suspend(self, request: web.Request) -> web.Response:
        found = await self.running(request)
        if found.status is RuntimeStatus.SUSPENDED:
            return wrong_state("suspend", found)
        return await self.send(request, event_of(request, EventKind.SUSPENDED))

    async def resume(self, request: web.Request) -> web.Response:
        found = await self.running(request)
        if found.status is not RuntimeStatus.SUSPENDED:
            return wrong_state("resume", found)
        return await self.send(request, event_of(request, EventKind.RESUMED))

    async def running(self, request: web.Request) -> OrchestrationInstance:
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
            return refused(412, str(error))
        return web.json_response({"instancesDeleted": 1})

    async def purge_many(self, request: web.Request) -> web.Response:
        if "createdTimeFrom" not in request.query:
            raise RefusedError(400, "Please provide value for 'createdTimeFrom' parameter.")
        try:
            deleted = await self.engine.purge_matching(query_from_wire(request.query))
        except ValueError as error:
            raise RefusedError(400, str(error)) from None
        return web.json_response({"instancesDeleted": deleted}, status=200 if deleted else 404)

    async def rewind(self, request: web.Request) -> web.Response:
        try:
            await self.engine.rewind(request.match_info["id"], request.query.get("reason", ""))
        except InstanceNotFailedError:
            return refused(412, "Only an instance that has failed can be rewound.")
        return web.Response(status=202)

    async def restart(self, request: web.Request) -> web.Response:
        """A new start with the same input: it has the version that new ones have."""
        found = await self.engine.get(request.match_info["id"])
        if found is None:
            raise RefusedError(400, "InstanceId does not match a valid orchestration instance.")
        anew = flag(request.query, "restartWithNewInstanceId", default=True)
        again = restart_of(found, now(), uuid4().hex if anew else found.id)
        return await self.begin(request, replace(again, version=self.settings.versions.own))
