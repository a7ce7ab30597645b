"""Who answers a request from outside?"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from aiohttp import ClientError, ClientResponse, ClientSession, web

from devhost.app.catalog import Catalog, Function
from devhost.console import say
from devhost.http.authorization import Guard
from devhost.http.classic import body_of, http_from_request, response_from_answer
from devhost.http.forwarding import BodyTooLargeError, Target, Upload, check_length, open_upstream, relay
from devhost.http.keys import Level, level_from_text
from devhost.http.routes import Template, template_from_text
from devhost.http.throttle import Throttle, TooManyRequestsError
from devhost.supervisor.messages import (
    Answer,
    Invocation,
    Raised,
    TimedOutError,
    Trace,
    WorkerLostError,
    WorkerNotReadyError,
)
from devhost.supervisor.process import WorkerProcess
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_trace

PATIENCE_S = 60.0
UNASKED_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTP function and its template; no methods means all."""

    function: Function
    template: Template
    methods: frozenset[str] = frozenset()

    @property
    def level(self) -> Level:
        return level_from_text(self.function.trigger.get("authLevel"))


def routes_of(catalog: Catalog, prefix: str) -> list[Route]:
    """In the order of the functions' names, which is the order in which they are tried."""
    return [route_of(function, prefix) for function in catalog.of_type("httpTrigger")]


def route_of(function: Function, prefix: str) -> Route:
    own = str(function.trigger.get("route") or function.name).strip("/")
    methods = function.trigger.get("methods") or ()
    text = f"{prefix.strip('/')}/{own}".strip("/")
    return Route(
        function=function, template=template_from_text(text), methods=frozenset(str(one).upper() for one in methods)
    )


def find_route(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    for route in routes:
        if route.methods and method not in route.methods:
            continue
        values = route.template.match(path)
        if values is not None:
            return route, values
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one function, and the worker that is to answer it."""

    request: web.Request
    function: Function
    values: dict[str, str]
    trace: Trace
    id: str
    worker: WorkerProcess

    def invocation(self, http: Mapping[str, object], body: bytes) -> Invocation:
        return Invocation(
            id=self.id,
            function_id=self.function.id,
            what=f"function {self.function.name}",
            type="http",
            trace=self.trace,
            body=body,
            http=dict(http),
        )


class FunctionServer:
    """Answers with the app's functions. `traces` holds the trace of each invocation that is running."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        guard: Guard,
        routes: Callable[[], list[Route]],
        http: Callable[[], str | None],
        throttle: Throttle,
    ) -> None:
        self.supervisor = supervisor
        self.guard = guard
        self.routes = routes
        self.http = http
        self.throttle = throttle
        self.traces: dict[str, str] = {}
        self.session: ClientSession | None = None
        self.running: dict[str, asyncio.Future[Answer]] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            async with self.throttle.turn():
                return await self.answer(request, await self.supervisor.current(PATIENCE_S))
        except TooManyRequestsError:
            return web.Response(status=429)
        except WorkerNotReadyError:
            return web.Response(status=503, text="The worker is not running.", headers={"Retry-After": "5"})
        except BodyTooLargeError:
            return web.Response(status=413)

    async def answer(self, request: web.Request, worker: WorkerProcess) -> web.StreamResponse:
        found = find_route(self.routes(), request.method, request.raw_path.partition("?")[0])
        if found is None:
            return web.Response(status=404)
        route, values = found
        if not self.guard.admits(request, route.level, route.function.name):
            return web.Response(status=401)
        check_length(request)
        call = Call(
            request=request,
            function=route.function,
            values=values,
            trace=next_trace(request.headers.get("traceparent"), request.headers.get("tracestate", "")),
            id=str(uuid4()),
            worker=worker,
        )
        self.traces[call.id] = call.trace.parent
        try:
            return await self.classic(call) if (uri := self.http()) is None else await self.stream(call, uri)
        finally:
            del self.traces[call.id]

    async def classic(self, call: Call) -> web.Response:
        body = await body_of(call.request)
        http = http_from_request(call.request, call.values)
        try:
            answer = await self.supervisor.invoke(call.invocation(http, body), call.worker)
        except WorkerLostError:
            return web.Response(status=502, text="The worker ended before it answered.")
        except TimedOutError:
            return web.Response(status=504)
        report(call.function, answer)
        return response_from_answer(answer)

    async def stream(self, call: Call, uri: str) -> web.StreamResponse:
        """The app's own server gets the request as it is; the worker joins it with the invocation by the id."""
        assert self.session is not None  # noqa: S101 - opened before the server listens
        upload = Upload(call.request)
        target = Target(uri=uri, invocation=call.id, sent=lambda: self.invoke_once(call))
        try:
            upstream = await open_upstream(self.session, call.request, target, upload)
            return await self.relayed(call, upstream)
        except ClientError:
            if upload.is_too_large:
                raise BodyTooLargeError from None
            return web.Response(status=502, text="The worker ended before its answer did.")

    def invoke_once(self, call: Call) -> None:
        """The client of this request may go away; its function runs to the end."""
        if call.worker.trace_of(call.id) is not None:
            return
        http = {"method": call.request.method, "url": "", "headers": {}, "query": {}, "params": call.values}
        running = asyncio.ensure_future(self.supervisor.invoke(call.invocation(http, b""), call.worker))
        self.running[call.id] = running
        running.add_done_callback(lambda done: self.on_done(call, done))

    def on_done(self, call: Call, done: "asyncio.Future[Answer]") -> None:
        del self.running[call.id]
        if not done.cancelled() and done.exception() is None:
            report(call.function, done.result(), trace=False)

    async def relayed(self, call: Call, upstream: ClientResponse) -> web.StreamResponse:
        """Closing the upstream connection tells the app's generator that its client has gone."""
        self.let_go(call)
        try:
            return await relay(call.request, upstream)
        finally:
            upstream.close()

    def let_go(self, call: Call) -> None:
        """What the app's server answers without its function would be waited for until `functionTimeout`.

        It has pages of its own, /docs among them, and knows no path with a line break.
        """
        running = self.running.get(call.id)
        if running is not None:
            asyncio.get_running_loop().call_later(UNASKED_S, running.cancel)


def report(function: Function, answer: Answer, *, trace: bool = True) -> None:
    """The app's own server prints the traceback of a streaming function itself."""
    if isinstance(answer, Raised):
        say(f"function {function.name} failed: {answer.message}" + (f"\n{answer.stack}" if trace else ""))
