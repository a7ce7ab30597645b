"""Which parts make a host, and in which order do they start and stop?"""

import asyncio
import os
import signal
import traceback
from pathlib import Path
from socket import socket

from aiohttp import web

from devhost.app.catalog import Catalog, catalog_from_ready, unsupported
from devhost.app.settings import HostSettings
from devhost.app.warmup import warm_up
from devhost.console import say, show
from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.engine import Engine
from devhost.engine.model.executor import EngineLimits
from devhost.engine.storage.database import StorageThread, connect
from devhost.engine.storage.file_lock import write_port
from devhost.engine.storage.store import TaskHubStore
from devhost.http.admin import Admin
from devhost.http.authorization import Guard
from devhost.http.cors_middleware import apply as apply_cors
from devhost.http.forwarding import HEADER_LIMIT, upstream_session
from devhost.http.headers import mark_all
from devhost.http.keys import Level, keys_path, with_functions
from devhost.http.listener import inherited, listen, origin
from devhost.http.routes import BadRouteError
from devhost.http.server import FunctionServer, Route, routes_of
from devhost.http.throttle import Throttle
from devhost.protocol_v1.client import WEBHOOKS, client_binding
from devhost.protocol_v1.executor import WorkerExecutor
from devhost.protocol_v1.rest import DurableApi
from devhost.startup.bootstrap import Beginning
from devhost.startup.listing import listing
from devhost.startup.state_file import State, write_state
from devhost.supervisor.messages import AppFailedToLoadError, Ready
from devhost.supervisor.supervisor import Supervisor, Watch
from devhost.timers.runner import TimerFunctions

DRAIN_S = 5.0
AIOHTTP_DRAIN_S = DRAIN_S / 2  # it waits so long twice
REST_LIMIT = 1024**3
ANY_PATH = r"/{path:[\s\S]*}"


class Host:
    """Everything of one running host. `run` returns the exit code."""

    def __init__(self, beginning: Beginning) -> None:
        self.beginning = beginning
        self.options = beginning.options
        self.host_json = beginning.settings
        given = self.options.listener
        self.public = listen(self.options.port) if given is None else inherited(given)
        self.private = listen(0)
        self.port: int = self.public.getsockname()[1]
        self.stopped = asyncio.Event()
        self.exit_code = 0
        self.catalog = Catalog(functions={}, orchestrators={}, activities={})
        self.routes: list[Route] = []
        self.tasks = BackgroundTasks(self.on_defect)
        self.runners: list[web.AppRunner] = []
        self.guard = Guard(
            beginning.keys,
            enforced=self.options.auth,
            levels={"/admin/": Level.ADMIN, WEBHOOKS: Level.SYSTEM},
        )
        self.build()

    def build(self) -> None:
        command = self.beginning.command
        self.storage = StorageThread(asyncio.get_running_loop())
        self.store = TaskHubStore(connect(self.options.database))
        self.supervisor = Supervisor(
            command=command,
            client=self.client(),
            watch=Watch(started=self.on_started, ready=self.on_ready, lost=self.on_lost),
            timeout=self.host_json.timeout_s,
        )
        self.engine = Engine(
            store=self.store,
            storage=self.storage,
            executor=WorkerExecutor(
                supervisor=self.supervisor,
                catalog=lambda: self.catalog,
                versions=self.host_json.versions,
                http_wait_s=self.host_json.http_wait_s,
            ),
            limits=self.limits(),
            tasks=self.tasks,
        )
        self.timers = TimerFunctions(
            supervisor=self.supervisor,
            catalog=lambda: self.catalog,
            storage=self.storage,
            store=self.store,
            tasks=self.tasks,
        )
        self.functions = FunctionServer(
            supervisor=self.supervisor,
            guard=self.guard,
            routes=lambda: self.routes,
            http=lambda: self.catalog.http,
            throttle=Throttle(running=self.host_json.requests, outstanding=self.host_json.outstanding),
        )
        self.api = DurableApi(
            engine=self.engine, settings=self.host_json, code=self.guard.keys.durable, trace_of=self.trace_of
        )

    def limits(self) -> EngineLimits:
        known = self.host_json
        return EngineLimits(
            orchestrators=known.turns,
            activities=known.activities,
            entities=known.entities,
            activity_redeliveries=known.redeliveries,
            orchestrator_redeliveries=known.turn_redeliveries,
            entity_redeliveries=known.entity_redeliveries,
        )

    def trace_of(self, invocation: str) -> str | None:
        """A stream outlives its invocation: the function has returned, its generator still runs."""
        return self.supervisor.trace_of(invocation) or self.functions.traces.get(invocation)

    def client(self) -> str:
        return client_binding(
            origin=origin(self.public), rpc=origin(self.private), hub=self.host_json.hub, code=self.guard.keys.durable
        )

    async def run(self) -> int:
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, self.on_signal)
        self.storage.start()
        starting = asyncio.ensure_future(self.start())
        stopped = asyncio.ensure_future(self.stopped.wait())
        try:
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await stopped
        finally:
            starting.cancel()
            stopped.cancel()
            await self.stop()
        return self.exit_code

    async def start(self) -> None:
        warn_of_unknown(self.host_json, self.beginning.command.app)
        self.functions.session = upstream_session()
        await self.serve(self.public_application(), self.public, cancel=True)
        await self.serve(self.private_application(), self.private, cancel=False)
        await self.supervisor.start(self.beginning.worker)
        show(listing(self.routes, self.catalog, origin(self.public)))
        self.tasks.spawn(self.supervisor.keep())
        await warm_up(self.supervisor, self.catalog)
        await self.engine.recover()
        self.timers.start()
        write_port(self.beginning.lock, self.port)
        say(f"ready: {origin(self.public)}")

    def public_application(self) -> web.Application:
        application = web.Application(client_max_size=REST_LIMIT)
        apply_cors(self.beginning.cors, application)
        self.guard.apply(application)
        mark_all(self.host_json.headers, application)
        Admin(
            supervisor=self.supervisor,
            timers=self.timers,
            routes=lambda: self.routes,
            stopping=self.stopped.is_set,
            losses=self.engine.redeliveries.counts,
        ).add_to(application)
        self.api.add_to(application, WEBHOOKS)
        application.router.add_route("*", ANY_PATH, self.functions.handle)
        return application

    def private_application(self) -> web.Application:
        application = web.Application(client_max_size=REST_LIMIT)
        self.api.add_to(application, "/durabletask/of/{invocation}")
        return application

    async def serve(self, application: web.Application, listener: socket, *, cancel: bool) -> None:
        runner = web.AppRunner(
            application,
            access_log=None,
            handler_cancellation=cancel,
            shutdown_timeout=AIOHTTP_DRAIN_S,
            max_line_size=HEADER_LIMIT,
            max_field_size=HEADER_LIMIT,
        )
        await runner.setup()
        await web.SockSite(runner, listener).start()
        self.runners.append(runner)

    def on_started(self, pid: int) -> None:
        self.write_state(pid, ready=False)

    def on_ready(self, pid: int, ready: Ready) -> None:
        self.catalog = catalog_from_ready(ready, self.beginning.command.environment)
        try:
            self.routes = routes_of(self.catalog, self.host_json.prefix)
        except BadRouteError as error:
            raise AppFailedToLoadError(str(error)) from None
        asking = [route.function.name for route in self.routes if route.level is Level.FUNCTION]
        self.guard.keys = with_functions(keys_path(self.options.database), self.guard.keys, asking)
        self.write_state(pid, ready=True)
        say(f"worker {pid} has loaded the app: {len(ready.functions)} functions")
        for text in self.catalog.errors:
            say(f"warning: {text}")
        for function in self.catalog.functions.values():
            for kind in unsupported(function):
                say(f"warning: function {function.name} has a binding that is not supported here: {kind}")

    def on_lost(self) -> None:
        self.write_state(None, ready=False)

    def write_state(self, worker: int | None, *, ready: bool) -> None:
        state = State(host_pid=os.getpid(), worker_pid=worker, port=self.port, ready=ready)
        write_state(self.options.state, state)

    def on_signal(self) -> None:
        if self.stopped.is_set():
            os._exit(130)
        say("stopping")
        self.stopped.set()

    def on_defect(self, error: BaseException) -> None:
        show("".join(traceback.format_exception(error)))
        say("this host has a defect and stops; nothing that was recorded is lost")
        self.exit_code = 70
        self.stopped.set()

    async def stop(self) -> None:
        """No new requests, turns or timers; what runs gets a little time; then the worker goes."""
        self.engine.stop()
        public, private = (*self.runners, None, None)[:2]
        await asyncio.gather(self.engine.drain(0.0 if self.exit_code else DRAIN_S), clean_up(public))
        await self.tasks.stop()
        await clean_up(private)
        if self.functions.session is not None:
            await self.functions.session.close()
        await self.supervisor.stop()
        await self.storage.run(self.store.database.close)
        self.storage.stop()
        self.on_lost()


async def clean_up(runner: web.AppRunner | None) -> None:
    if runner is not None:
        await runner.cleanup()


def warn_of_unknown(settings: HostSettings, app: Path) -> None:
    if settings.unknown:
        say(f"warning: {app / 'host.json'} has keys that this host does not know: {', '.join(settings.unknown)}")
