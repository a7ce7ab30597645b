"""How does a GPU service on Cloud Run answer, from asleep to busy?"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp
from aiohttp import web

from standins.cloud_run.error_pages import SERVER_ERROR, UNAVAILABLE, page, rate_exceeded, timed_out
from standins.cloud_run.instance_pool import Instance, Pool, StartFailed
from standins.cloud_run.invoker_check import Gate
from standins.cloud_run.options import changed
from standins.cloud_run.proxy import Outlet, new_client, relay, relayed_within

BODY_LIMIT = 32 * 2**20
KEPT = 10_000


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request; times are Unix seconds, `waited_s` seconds of the service until an instance took it.

    `how` is done, refused, gave-up, overrun, timed-out, failed or client-closed, and None while it runs.
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
    how: str | None = None
    why: str | None = None


class Service:
    """`gate` None lets everybody in; `audience` None is the address under which the request came."""

    def __init__(self, *, pool: Pool, gate: Gate | None, audience: str | None, clock: Callable[[], float]) -> None:
        self.pool = pool
        self.gate = gate
        self.audience = audience
        self.clock = clock
        self.entries: deque[Entry] = deque(maxlen=KEPT)
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
        entry = self.enter(request)
        try:
            response = await self.answer(request, entry)
        except asyncio.CancelledError:
            entry.how = "client-closed"
            raise
        except web.HTTPException as refusal:
            entry.how, entry.status = "refused", refusal.status
            raise
        finally:
            entry.ended = self.clock()
        entry.status = response.status
        entry.how = entry.how or "done"
        return response

    def enter(self, request: web.Request) -> Entry:
        traceparent = request.headers.get("traceparent")
        number = self.entries[-1].number + 1 if self.entries else 1
        entry = Entry(number=number, at=self.clock(), method=request.method, path=request.path, traceparent=traceparent)
        self.entries.append(entry)
        return entry

    async def answer(self, request: web.Request, entry: Entry) -> web.StreamResponse:
        options, loop = self.pool.options, asyncio.get_running_loop()
        deadline = loop.time() + options.real(options.timeout)
        if refused := await self.refusal(request, entry):
            return refused
        body = await request.read()
        if self.pool.is_full:
            return self.note(entry, "overrun", page(SERVER_ERROR, request.path))
        try:
            instance = await self.pool.take(options.real(min(options.hold, options.timeout)))
        except TimeoutError:
            over = options.timeout <= options.hold
            return self.note(entry, "timed-out", timed_out()) if over else self.note(entry, "gave-up", rate_exceeded())
        except StartFailed:
            return self.note(entry, "failed", page(UNAVAILABLE, request.path))
        entry.instance = instance.session.number
        entry.waited_s = round((self.clock() - entry.at) * options.speed, 3)
        return await self.exchange(Outlet(request=request), entry, body, instance, deadline - loop.time())

    async def refusal(self, request: web.Request, entry: Entry) -> web.Response | None:
        if self.gate is None:
            return None
        header = request.headers.get("X-Serverless-Authorization") or request.headers.get("Authorization")
        refused = await self.gate.refusal(header, self.audience or own_address(request))
        if refused is None:
            return None
        kind, entry.why = refused
        return self.note(entry, "refused", page(kind, request.path))

    def note[T: web.StreamResponse](self, entry: Entry, how: str, response: T) -> T:
        entry.how = how
        return response

    async def exchange(
        self, outlet: Outlet, entry: Entry, body: bytes, instance: Instance, left_s: float
    ) -> web.StreamResponse:
        """Serves by an instance; the time limit ends the answer and not the work of the instance."""
        task = asyncio.create_task(self.work(outlet, body, instance))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        try:
            in_time = await relayed_within(task, left_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if in_time:
            return task.result()
        outlet.is_open = False
        if outlet.response is None:
            return self.note(entry, "timed-out", timed_out())
        outlet.cut()
        return self.note(entry, "timed-out", outlet.response)

    async def work(self, outlet: Outlet, body: bytes, instance: Instance) -> web.StreamResponse:
        try:
            return await relay(self.client, outlet, body, instance.port or 0)
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
        return web.json_response({"waiting": waiting, "instances": instances, "options": self.pool.options.wire()})

    async def bill(self, _request: web.Request) -> web.Response:
        return web.json_response(self.pool.bill.wire(self.clock()))

    async def requests(self, _request: web.Request) -> web.Response:
        return web.json_response({"requests": [asdict(entry) for entry in self.entries]})

    async def forget(self, _request: web.Request) -> web.Response:
        self.entries.clear()
        return web.Response(status=204)

    async def change(self, request: web.Request) -> web.Response:
        try:
            given: dict[str, Any] = json.loads(await request.read())
            self.pool.options = changed(self.pool.options, given)
        except ValueError as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return web.json_response(self.pool.options.wire())

    async def scale_in(self, _request: web.Request) -> web.Response:
        self.pool.scale_in()
        return web.Response(status=204)


def own_address(request: web.Request) -> str:
    if request.transport is None:
        return ""
    host, port = request.transport.get_extra_info("sockname")[:2]
    return f"http://{host}:{port}"
