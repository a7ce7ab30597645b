"""Who answers a request from outside?"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from aiohttp import ClientError, ClientResponse, ClientSession, web

from devhost.catalog import Catalog, Function
from devhost.console import say
from devhost.http.classic import body_of, http_from_request, response_from_answer
from devhost.http.forwarding import BodyTooLargeError, Target, check_length, open_upstream, relay
from devhost.http.routes import Template, template_from_text
from devhost.supervisor.messages import (
    Answer,
    Invocation,
    Raised,
    TimedOutError,
    Trace,
    WorkerLostError,
    WorkerNotReadyError,
)
from devhost.supervisor.supervisor import Supervisor
from devhost.tracing import next_trace

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTP function and its template; no methods means all."""

    function: Function
    template: Template
    methods: frozenset[str]


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


class FunctionServer:
    """Answers with the app's functions. `traces` holds the trace of each invocation that is running."""

    def __init__(
        self, *, supervisor: Supervisor, routes: Callable[[], list[Route]], http: Callable[[], str | None]
    ) -> None:
        self.supervisor = supervisor
        self.routes = routes
        self.http = http
        self.traces: dict[str, str] = {}
        self.session: ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            await self.supervisor.current(PATIENCE_S)
            return await self.answer(request)
        except WorkerNotReadyError:
            return web.Response(status=503, text="The worker is not running.", headers={"Retry-After": "5"})
        except BodyTooLargeError:
            return web.Response(status=413)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        found = find_route(self.routes(), request.method, request.raw_path.partition("?")[0])
        if found is None:
            return web.Response(status=404)
        check_length(request)
        route, values = found
        trace = next_trace(request.headers.get("traceparent"), request.headers.get("tracestate", ""))
        invocation = str(uuid4())
        self.traces[invocation] = trace.parent
        try:
            if (uri := self.http()) is not None:
                target = Target(uri=uri, invocation=invocation)
                return await self.stream(request, route, values, target, trace)
            return await self.classic(request, route, values, invocation, trace)
        finally:
            del self.traces[invocation]

    async def classic(
        self, request: web.Request, route: Route, values: dict[str, str], invocation: str, trace: Trace
    ) -> web.Response:
        body = await body_of(request)
        asked = invocation_of(route.function, invocation, http_from_request(request, values), trace, body)
        try:
            answer = await self.supervisor.invoke(asked)
        except WorkerLostError:
            return web.Response(status=502, text="The worker ended before it answered.")
        except TimedOutError:
            return web.Response(status=504)
        report(route.function, answer)
        return response_from_answer(answer)

    async def stream(
        self, request: web.Request, route: Route, values: dict[str, str], target: Target, trace: Trace
    ) -> web.StreamResponse:
        """The app's own server gets the request as it is; the worker joins both by the invocation's id."""
        assert self.session is not None  # noqa: S101 - opened before the server listens
        http = {"method": request.method, "url": "", "headers": {}, "query": {}, "params": values}
        asked = invocation_of(route.function, target.invocation, http, trace, b"")
        running = asyncio.ensure_future(self.supervisor.invoke(asked))
        running.add_done_callback(lambda done: reported(route.function, done))
        try:
            upstream = await open_upstream(self.session, request, target)
        except ClientError:
            return web.Response(status=502, text="The worker ended before it answered.")
        return await self.relayed(request, upstream)

    async def relayed(self, request: web.Request, upstream: ClientResponse) -> web.StreamResponse:
        """Closing the upstream connection tells the app's generator that its client has gone."""
        try:
            return await relay(request, upstream)
        except ClientError:
            return web.Response(status=502, text="The worker ended in the middle of its answer.")
        finally:
            upstream.close()


def invocation_of(
    function: Function, invocation: str, http: Mapping[str, object], trace: Trace, body: bytes
) -> Invocation:
    return Invocation(
        id=invocation,
        function_id=function.id,
        what=f"function {function.name}",
        type="http",
        trace=trace,
        body=body,
        http=dict(http),
    )


def reported(function: Function, done: "asyncio.Future[Answer]") -> None:
    if not done.cancelled() and done.exception() is None:
        report(function, done.result(), trace=False)


def report(function: Function, answer: Answer, *, trace: bool = True) -> None:
    """The app's own server prints the traceback of a streaming function itself."""
    if isinstance(answer, Raised):
        say(f"function {function.name} failed: {answer.message}" + (f"\n{answer.stack}" if trace else ""))
