"""Which endpoints under /admin report on the host and run timer functions?"""

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from devhost.app.catalog import FunctionMetadata
from devhost.clock import now
from devhost.engine.storage.outage import StorageOutage
from devhost.http.server import FunctionRoute
from devhost.supervisor.messages import FunctionRaised, InvocationResult, WorkerLostError
from devhost.supervisor.supervisor import Supervisor
from devhost.timers.runner import TimerFunctions, UnknownTimerFunctionError

VERSION = "0.1.0"


class AdminApi:
    def __init__(
        self,
        *,
        supervisor: Supervisor,
        timers: TimerFunctions,
        routes: Callable[[], list[FunctionRoute]],
        stopping: Callable[[], bool],
        redeliveries: Mapping[str, int],
        outage: StorageOutage,
    ) -> None:
        self.supervisor = supervisor
        self.routes = routes
        self.timers = timers
        self.stopping = stopping
        self.redeliveries = redeliveries
        self.outage = outage
        self.started = now()

    def add_to(self, application: web.Application) -> None:
        application.router.add_get("/admin/host/ping", self.ping)
        application.router.add_get("/admin/host/status", self.status)
        application.router.add_get("/admin/functions", self.functions)
        application.router.add_get("/admin/functions/{name}", self.function)
        application.router.add_post("/admin/functions/{name}", self.run)

    async def ping(self, request: web.Request) -> web.Response:  # noqa: ARG002 - the shape of a handler
        return web.Response()

    def describe(self, function: FunctionMetadata, request: web.Request) -> dict[str, Any]:
        """Describes a function like the real host, with the fields that apply here."""
        origin = request.url.origin()
        route = next((one for one in self.routes() if one.function.name == function.name), None)
        return {
            "name": function.name,
            "href": f"{origin}/admin/functions/{function.name}",
            "invoke_url_template": f"{origin}/{route.template.text}" if route else None,
            "language": "python",
            "config": {"name": function.name, "bindings": function.bindings},
            "isDisabled": False,
        }

    async def functions(self, request: web.Request) -> web.Response:
        found = self.timers.catalog().functions.values()
        return web.json_response([self.describe(one, request) for one in found])

    async def function(self, request: web.Request) -> web.Response:
        wanted = request.match_info["name"].lower()
        found = next((one for one in self.timers.catalog().functions.values() if one.name.lower() == wanted), None)
        return web.Response(status=404) if found is None else web.json_response(self.describe(found, request))

    async def status(self, request: web.Request) -> web.Response:  # noqa: ARG002 - the shape of a handler
        worker = self.supervisor.process
        up = self.supervisor.up.is_set()
        errors = [f"The task hub's database fails: {self.outage.reason}"] if self.outage.reason else []
        state = "Error" if errors else ("Running" if up else "Initialized")
        return web.json_response(
            {
                "id": "devhost",
                "state": "Stopping" if self.stopping() else state,
                "errors": errors,
                "version": VERSION,
                "processUptime": int((now() - self.started) * 1000),
                "hostProcessId": os.getpid(),
                "workerProcessId": worker.pid if worker and up else None,
                "workerRestarts": self.supervisor.exits,
                "redeliveries": dict(self.redeliveries),
            }
        )

    async def run(self, request: web.Request) -> web.Response:
        """Returns 202 at once; with ?wait=true it returns 200 or 500 when the function has ended."""
        try:
            function = self.timers.find(request.match_info["name"])
        except UnknownTimerFunctionError:
            return web.Response(status=404, text="No timer function of this name exists.")
        running = asyncio.ensure_future(self.timers.run_now(function))
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        if request.query.get("wait", "").lower() != "true":
            return web.Response(status=202)
        return await self.wait_for_result(running)

    @staticmethod
    async def wait_for_result(running: "asyncio.Future[InvocationResult]") -> web.Response:
        try:
            result = await asyncio.shield(running)
        except WorkerLostError:
            return web.Response(status=500, text="The worker ended before the function completed.")
        return web.Response(status=500, text=result.message) if isinstance(result, FunctionRaised) else web.Response()
