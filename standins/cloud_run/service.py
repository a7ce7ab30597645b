"""How does a GPU service on Cloud Run answer a request, from cold to busy?"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from standins.cloud_run.admin_api import AdminApi, EditorCheck
from standins.cloud_run.error_pages import SERVER_ERROR, UNAVAILABLE, error_response, rate_exceeded, timed_out
from standins.cloud_run.instance_pool import InstancePool, PoolInstance, StartFailed
from standins.cloud_run.invoker_check import InvokerCheck
from standins.cloud_run.options import with_changes
from standins.cloud_run.proxy import CallerConnection, finished_within, forward, new_client
from standins.json_values import body_object

BODY_LIMIT = 32 * 2**20
KEPT = 10_000


@dataclass(slots=True, kw_only=True)
class ServedRequest:
    """One request; times are Unix seconds, `waited_s` is the wait for an instance in scaled seconds.

    `outcome` is done, refused, gave-up, overrun, timed-out, failed or client-closed, and None while it runs.
    """

    number: int
    at: float
    method: str
    path: str
    traceparent: str | None
    instance: int | None = None
    waited_s: float | None = None
    ended: float | None = None
    status: int | None = None
    outcome: str | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "traceparent": self.traceparent,
            "instance": self.instance,
            "waited_s": self.waited_s,
            "ended": self.ended,
            "status": self.status,
            "how": self.outcome,
            "why": self.reason,
        }


class CloudRunService:
    """`invoker_check` None accepts every caller; `audience` None is the address that received the request."""

    def __init__(
        self,
        *,
        pool: InstancePool,
        invoker_check: InvokerCheck | None,
        audience: str | None,
        clock: Callable[[], float],
        editor_check: EditorCheck | None = None,
    ) -> None:
        self.pool = pool
        self.admin_api = AdminApi(pool, editor_check)
        self.invoker_check = invoker_check
        self.audience = audience
        self.clock = clock
        self.recorded: deque[ServedRequest] = deque(maxlen=KEPT)
        self.running: set[asyncio.Task[web.StreamResponse]] = set()
        self.client: aiohttp.ClientSession

    def application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_get("/admin/state", self.state)
        app.router.add_get("/admin/bill", self.bill)
        app.router.add_get("/admin/requests", self.requests)
        app.router.add_delete("/admin/requests", self.forget)
        app.router.add_patch("/admin/options", self.change)
        app.router.add_post("/admin/scale-in", self.scale_in)
        self.admin_api.add_routes(app.router)
        app.router.add_route("*", "/{path:.*}", self.serve)
        app.on_startup.append(self.open)
        app.on_cleanup.append(self.close)
        return app

    async def open(self, _app: web.Application) -> None:
        self.client = new_client()
        self.pool.launcher.prepare()

    async def close(self, _app: web.Application) -> None:
        for task in self.running:
            task.cancel()
        await self.client.close()
        await self.pool.stop()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        record = self.record_request(request)
        try:
            response = await self.answer(request, record)
        except asyncio.CancelledError:
            record.outcome = "client-closed"
            raise
        except web.HTTPException as error:
            record.outcome, record.status = "refused", error.status
            raise
        finally:
            record.ended = self.clock()
        record.status = response.status
        record.outcome = record.outcome or "done"
        return response

    def record_request(self, request: web.Request) -> ServedRequest:
        traceparent = request.headers.get("traceparent")
        number = self.recorded[-1].number + 1 if self.recorded else 1
        record = ServedRequest(
            number=number, at=self.clock(), method=request.method, path=request.path, traceparent=traceparent
        )
        self.recorded.append(record)
        return record

    async def answer(self, request: web.Request, record: ServedRequest) -> web.StreamResponse:
        options, loop = self.pool.options, asyncio.get_running_loop()
        deadline = loop.time() + options.real_seconds(options.timeout)
        if rejected := await self.rejection(request, record):
            return rejected
        body = await request.read()
        if self.pool.is_full:
            return self.with_outcome(record, "overrun", error_response(SERVER_ERROR, request.path))
        try:
            instance = await self.pool.acquire(options.real_seconds(min(options.hold, options.timeout)))
        except TimeoutError:
            timeout_first = options.timeout <= options.hold
            return (
                self.with_outcome(record, "timed-out", timed_out())
                if timeout_first
                else self.with_outcome(record, "gave-up", rate_exceeded())
            )
        except StartFailed:
            return self.with_outcome(record, "failed", error_response(UNAVAILABLE, request.path))
        record.instance = instance.session.number
        record.waited_s = round((self.clock() - record.at) * options.speed, 3)
        return await self.exchange(CallerConnection(request=request), record, body, instance, deadline - loop.time())

    async def rejection(self, request: web.Request, record: ServedRequest) -> web.Response | None:
        if self.invoker_check is None:
            return None
        header = request.headers.get("X-Serverless-Authorization") or request.headers.get("Authorization")
        rejected = await self.invoker_check.rejection(header, self.audience or own_address(request))
        if rejected is None:
            return None
        kind, record.reason = rejected
        return self.with_outcome(record, "refused", error_response(kind, request.path))

    def with_outcome[T: web.StreamResponse](self, record: ServedRequest, outcome: str, response: T) -> T:
        record.outcome = outcome
        return response

    async def exchange(
        self, caller: CallerConnection, record: ServedRequest, body: bytes, instance: PoolInstance, left_s: float
    ) -> web.StreamResponse:
        """Forwards to an instance; the time limit ends the answer but not the work of the instance."""
        task = asyncio.create_task(self.forward_and_release(caller, body, instance))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        try:
            in_time = await finished_within(task, left_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if in_time:
            return task.result()
        caller.is_open = False
        if caller.response is None:
            return self.with_outcome(record, "timed-out", timed_out())
        caller.abort()
        return self.with_outcome(record, "timed-out", caller.response)

    async def forward_and_release(
        self, caller: CallerConnection, body: bytes, instance: PoolInstance
    ) -> web.StreamResponse:
        try:
            return await forward(self.client, caller, body, instance.port or 0)
        finally:
            self.pool.release(instance)

    async def state(self, _request: web.Request) -> web.Response:
        instances = [
            {
                "number": one.session.number,
                "state": "starting" if one.port is None else "ready",
                "busy": one.busy,
                "pid": one.child.pid,
                "port": one.port,
            }
            for one in self.pool.instances
        ]
        waiting = len(self.pool.waiting)
        return web.json_response({"waiting": waiting, "instances": instances, "options": self.pool.options.to_json()})

    async def bill(self, _request: web.Request) -> web.Response:
        return web.json_response(self.pool.bill.to_json(self.clock()))

    async def requests(self, _request: web.Request) -> web.Response:
        return web.json_response({"requests": [record.to_json() for record in self.recorded]})

    async def forget(self, _request: web.Request) -> web.Response:
        self.recorded.clear()
        return web.Response(status=204)

    async def change(self, request: web.Request) -> web.Response:
        try:
            self.pool.options = with_changes(self.pool.options, body_object(await request.read()))
        except ValueError as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return web.json_response(self.pool.options.to_json())

    async def scale_in(self, _request: web.Request) -> web.Response:
        self.pool.scale_in()
        return web.Response(status=204)


def own_address(request: web.Request) -> str:
    if request.transport is None:
        return ""
    host, port = request.transport.get_extra_info("sockname")[:2]
    return f"http://{host}:{port}"
