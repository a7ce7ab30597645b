"""How is a request routed to a function of the app?"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from aiohttp import ClientError, ClientResponse, ClientSession, web

from devhost.app.catalog import FunctionCatalog, FunctionMetadata
from devhost.console import log_line
from devhost.http.authorization import KeyAuthorization
from devhost.http.classic import http_from_request, read_body, response_from_result
from devhost.http.forwarding import (
    BodyTooLargeError,
    Upload,
    UpstreamTarget,
    check_length,
    is_repeatable,
    open_upstream,
    relay,
    upstream_session,
)
from devhost.http.keys import AuthLevel, level_from_text
from devhost.http.routes import RouteTemplate, template_from_text
from devhost.http.slow_clients import BodyTooLateError
from devhost.http.throttle import Throttle, TooManyRequestsError
from devhost.supervisor.messages import (
    FunctionRaised,
    FunctionTimeoutError,
    Invocation,
    InvocationResult,
    NotBegunError,
    TraceContext,
    WorkerLostError,
    WorkerNotReadyError,
)
from devhost.supervisor.process import WorkerProcess
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_span

WORKER_TIMEOUT_S = 60.0
UNCLAIMED_TIMEOUT_S = 2.0
UNNOTICED_S = 2.0
"""How long the end of a worker may remain unnoticed."""

WORKERS_TRIED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRoute:
    """An HTTP function and its route template; an empty set of methods matches every method."""

    function: FunctionMetadata
    template: RouteTemplate
    methods: frozenset[str] = frozenset()

    @property
    def level(self) -> AuthLevel:
        return level_from_text(self.function.trigger.get("authLevel"))


def routes_of(catalog: FunctionCatalog, prefix: str) -> list[FunctionRoute]:
    """Routes are matched in the order of the functions' names."""
    return [route_of(function, prefix) for function in catalog.of_type("httpTrigger")]


def route_of(function: FunctionMetadata, prefix: str) -> FunctionRoute:
    own = str(function.trigger.get("route") or function.name).strip("/")
    methods = function.trigger.get("methods") or ()
    text = f"{prefix.strip('/')}/{own}".strip("/")
    return FunctionRoute(
        function=function, template=template_from_text(text), methods=frozenset(str(one).upper() for one in methods)
    )


def find_route(routes: list[FunctionRoute], method: str, path: str) -> tuple[FunctionRoute, dict[str, str]] | None:
    for route in routes:
        if route.methods and method not in route.methods:
            continue
        values = route.template.match(path)
        if values is not None:
            return route, values
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpInvocation:
    """One request, its function, and the worker that runs it."""

    request: web.Request
    function: FunctionMetadata
    values: dict[str, str]
    trace: TraceContext
    id: str
    worker: WorkerProcess

    def invocation(self, http: Mapping[str, object], body: bytes) -> Invocation:
        return Invocation(
            id=self.id,
            function_id=self.function.id,
            description=f"function {self.function.name}",
            type="http",
            trace=self.trace,
            body=body,
            http=dict(http),
        )


class FunctionServer:
    """Serves the app's HTTP functions. `traces` holds the trace of each running invocation."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        authorization: KeyAuthorization,
        routes: Callable[[], list[FunctionRoute]],
        http: Callable[[], str | None],
        throttle: Throttle,
    ) -> None:
        self.supervisor = supervisor
        self.authorization = authorization
        self.routes = routes
        self.http = http
        self.throttle = throttle
        self.traces: dict[str, str] = {}
        self.kept: ClientSession | None = None
        self.single: ClientSession | None = None
        self.running: dict[str, asyncio.Future[InvocationResult]] = {}

    def open(self) -> None:
        """Makes ready for connections to the app's server: kept ones, and those for one request."""
        self.kept, self.single = upstream_session(), upstream_session(keeps=False)

    async def aclose(self) -> None:
        for session in (self.kept, self.single):
            if session is not None:
                await session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            async with self.throttle.admit():
                return await self.try_workers(request)
        except TooManyRequestsError:
            return web.Response(status=429)
        except WorkerNotReadyError:
            return web.Response(status=503, text="The worker is not running.", headers={"Retry-After": "5"})
        except BodyTooLargeError:
            return web.Response(status=413)
        except BodyTooLateError:
            return web.Response(status=408, text="The body of the request arrived too slowly.")

    async def try_workers(self, request: web.Request) -> web.StreamResponse:
        """A request waits for the next worker as long as none has begun its function."""
        for _ in range(WORKERS_TRIED):
            worker = await self.supervisor.wait_for_worker(WORKER_TIMEOUT_S)
            try:
                return await self.dispatch(request, worker)
            except NotBegunError:
                await end_of(worker)
        return web.Response(status=502, text="No worker began the function.")

    async def dispatch(self, request: web.Request, worker: WorkerProcess) -> web.StreamResponse:
        found = find_route(self.routes(), request.method, request.raw_path.partition("?")[0])
        if found is None:
            return web.Response(status=404)
        route, values = found
        if not self.authorization.is_allowed(request, route.level, route.function.name):
            return web.Response(status=401)
        check_length(request)
        call = HttpInvocation(
            request=request,
            function=route.function,
            values=values,
            trace=next_span(request.headers.get("traceparent"), request.headers.get("tracestate", "")),
            id=str(uuid4()),
            worker=worker,
        )
        self.traces[call.id] = call.trace.parent
        uri = self.http()
        try:
            with worker.answering():
                return await self.call_classic(call) if uri is None else await self.call_streaming(call, uri)
        finally:
            del self.traces[call.id]

    async def call_classic(self, call: HttpInvocation) -> web.Response:
        body = await read_body(call.request)
        http = http_from_request(call.request, call.values)
        try:
            result = await self.invoke_until_begun(call.invocation(http, body))
        except WorkerLostError:
            return web.Response(status=502, text="The worker ended before it returned a response.")
        except FunctionTimeoutError:
            return web.Response(status=504)
        log_failure(call.function, result)
        return response_from_result(result)

    async def invoke_until_begun(self, invocation: Invocation) -> InvocationResult:
        """The body that was read is given to the next worker, too. Raises as Supervisor.invoke."""
        for _ in range(WORKERS_TRIED):
            worker = await self.supervisor.wait_for_worker(WORKER_TIMEOUT_S)
            try:
                return await self.supervisor.invoke(invocation, worker)
            except NotBegunError:
                await end_of(worker)
            finally:
                worker.begun.discard(invocation.id)
        raise NotBegunError(invocation.description)

    async def call_streaming(self, call: HttpInvocation, uri: str) -> web.StreamResponse:
        """Forwards the request to the app's own server; the worker joins it with the invocation by id.

        Raises NotBegunError. A function that may have begun, or whose body was taken, never runs again.
        """
        session = self.kept if is_repeatable(call.request) else self.single
        assert session is not None  # noqa: S101 - opened before the server listens
        upload = Upload(call.request)
        target = UpstreamTarget(uri=uri, invocation=call.id, sent=lambda: self.invoke_once(call))
        try:
            upstream = await open_upstream(session, call.request, target, upload)
        except ClientError as error:
            upload.raise_problem()
            if not upload.received and await never_began(call):
                raise NotBegunError(call.function.name) from error
            return interrupted()
        finally:
            call.worker.begun.discard(call.id)
        try:
            return await self.relay_response(call, upstream)
        except ClientError:
            upload.raise_problem()
            return interrupted()

    def invoke_once(self, call: HttpInvocation) -> None:
        """The function runs to its end even if the client disconnects."""
        if call.worker.trace_of(call.id) is not None:
            return
        http = {"method": call.request.method, "url": "", "headers": {}, "query": {}, "params": call.values}
        running = asyncio.ensure_future(self.supervisor.invoke(call.invocation(http, b""), call.worker))
        self.running[call.id] = running
        running.add_done_callback(lambda done: self.on_done(call, done))

    def on_done(self, call: HttpInvocation, done: "asyncio.Future[InvocationResult]") -> None:
        del self.running[call.id]
        if not done.cancelled() and done.exception() is None:
            log_failure(call.function, done.result(), trace=False)

    async def relay_response(self, call: HttpInvocation, upstream: ClientResponse) -> web.StreamResponse:
        """Closing the upstream connection cancels the app's generator when the client disconnects."""
        self.cancel_unclaimed(call)
        try:
            return await relay(call.request, upstream)
        finally:
            upstream.close()

    def cancel_unclaimed(self, call: HttpInvocation) -> None:
        """Cancels an invocation that the app's server answered without calling the function.

        The server has pages of its own, such as /docs, and does not match paths with a line break. The invocation
        would otherwise wait until `functionTimeout`.
        """
        running = self.running.get(call.id)
        if running is not None:
            asyncio.get_running_loop().call_later(UNCLAIMED_TIMEOUT_S, running.cancel)


def interrupted() -> web.Response:
    return web.Response(status=502, text="The worker ended before the response was complete.")


async def never_began(call: HttpInvocation) -> bool:
    """Whether the worker ended without having begun the function."""
    if call.id not in call.worker.begun:
        await end_of(call.worker)
    return call.worker.has_ended and call.id not in call.worker.begun


async def end_of(worker: WorkerProcess) -> None:
    """Waits until the worker has ended, or for a while if it has not."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(worker.lost.wait(), UNNOTICED_S)


def log_failure(function: FunctionMetadata, result: InvocationResult, *, trace: bool = True) -> None:
    """The app's own server prints the traceback of a streaming function itself."""
    if isinstance(result, FunctionRaised):
        log_line(f"function {function.name} failed: {result.message}" + (f"\n{result.stack}" if trace else ""))
