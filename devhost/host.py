"""Which components make up a running host, and in which order do they start and stop?"""

import asyncio
import os
import signal
import traceback
from copy import replace
from pathlib import Path
from socket import socket

from aiohttp import web

from devhost.app.catalog import FunctionCatalog, catalog_from_worker, newer_sdk_functions, unsupported_bindings
from devhost.app.settings import HostSettings
from devhost.app.warmup import warm_up
from devhost.console import log_line, write
from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.engine import Engine
from devhost.engine.model.executor import EngineLimits
from devhost.engine.storage.database import StorageThread, connect
from devhost.engine.storage.file_lock import write_port
from devhost.engine.storage.store import TaskHubStore
from devhost.http.admin import AdminApi
from devhost.http.authorization import KeyAuthorization
from devhost.http.cors_middleware import add_cors as apply_cors
from devhost.http.foreign_requests import ForeignRequests
from devhost.http.forwarding import HEADER_LIMIT
from devhost.http.headers import add_custom_headers
from devhost.http.keys import AuthLevel, with_function_keys
from devhost.http.listener import adopt_listener, listen, origin_of
from devhost.http.routes import InvalidRouteError
from devhost.http.server import FunctionRoute, FunctionServer, routes_of
from devhost.http.slow_clients import SlowClients
from devhost.http.throttle import Throttle
from devhost.protocol_v1.client import WEBHOOKS, client_binding
from devhost.protocol_v1.executor import WorkerExecutor
from devhost.protocol_v1.rest import ManagementApi
from devhost.queues.runner import QueueFunctions, queue_opener
from devhost.startup.bootstrap import Bootstrap
from devhost.startup.listing import function_list
from devhost.startup.state_file import HostState, StateFile
from devhost.supervisor.messages import AppFailedToLoadError, WorkerReady
from devhost.supervisor.supervisor import Supervisor, WorkerObserver
from devhost.timers.runner import TimerFunctions

DRAIN_S = 5.0
AIOHTTP_DRAIN_S = DRAIN_S / 2  # aiohttp waits for this time twice
REST_LIMIT = 1024**3
ANY_PATH = r"/{path:[\s\S]*}"
NEWER_SDK = (
    "The app uses version 2 of azure-functions-durable (the functions {functions} ask for its gRPC protocol), and this "
    "host speaks the protocol of version 1: install 'azure-functions-durable<2'."
)


class FunctionsHost:
    """All components of one running host. `run` returns the exit code."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self.bootstrap = bootstrap
        self.options = bootstrap.options
        self.host_json = bootstrap.settings
        descriptor = self.options.listener
        self.public_socket = listen(self.options.port) if descriptor is None else adopt_listener(descriptor)
        self.private_socket = listen(0)
        self.port: int = self.public_socket.getsockname()[1]
        self.stopped = asyncio.Event()
        self.exit_code = 0
        self.catalog = FunctionCatalog(functions={}, orchestrators={}, activities={})
        self.routes: list[FunctionRoute] = []
        self.tasks = BackgroundTasks(self.on_internal_error)
        self.state_file = StateFile(self.options.state, self.tasks)
        self.runners: list[web.AppRunner] = []
        self.authorization = KeyAuthorization(
            bootstrap.keys,
            enforced=self.options.auth,
            levels={"/admin/": AuthLevel.ADMIN, WEBHOOKS: AuthLevel.SYSTEM},
        )
        self.build()

    def build(self) -> None:
        command = self.bootstrap.command
        self.storage = StorageThread(asyncio.get_running_loop())
        self.store = TaskHubStore(connect(self.options.database))
        self.supervisor = Supervisor(
            command=command,
            client=self.client_binding(),
            observer=WorkerObserver(
                started=self.on_worker_started, ready=self.on_worker_ready, lost=self.on_worker_lost
            ),
            timeout=self.host_json.function_timeout_s,
        )
        self.engine = Engine(
            store=self.store,
            storage=self.storage,
            executor=WorkerExecutor(
                supervisor=self.supervisor,
                catalog=lambda: self.catalog,
                versions=self.host_json.versions,
                http_poll_interval_s=self.host_json.http_poll_interval_s,
            ),
            limits=self.engine_limits(),
            tasks=self.tasks,
        )
        self.timers = TimerFunctions(
            supervisor=self.supervisor,
            catalog=lambda: self.catalog,
            storage=self.storage,
            store=self.store,
            tasks=self.tasks,
        )
        opener = queue_opener(self.bootstrap.command.environment)
        self.queues = QueueFunctions(self.supervisor, self.host_json.queues, self.tasks, opener)
        self.functions = FunctionServer(
            supervisor=self.supervisor,
            authorization=self.authorization,
            routes=lambda: self.routes,
            http=lambda: self.catalog.http,
            throttle=Throttle(running=self.host_json.max_requests, outstanding=self.host_json.max_outstanding_requests),
        )
        self.management_api = ManagementApi(
            engine=self.engine, settings=self.host_json, key=self.authorization.keys.durable, trace_of=self.trace_of
        )

    def engine_limits(self) -> EngineLimits:
        known = self.host_json
        return EngineLimits(
            orchestrators=known.max_orchestrators,
            activities=known.max_activities,
            entities=known.max_entities,
            activity_redeliveries=known.max_activity_redeliveries,
            orchestrator_redeliveries=known.max_orchestrator_redeliveries,
            entity_redeliveries=known.max_entity_redeliveries,
        )

    def trace_of(self, invocation: str) -> str | None:
        """The response of a streaming function outlives its invocation: its generator still runs after the function
        returned.
        """
        return self.supervisor.trace_of(invocation) or self.functions.traces.get(invocation)

    def client_binding(self) -> str:
        return client_binding(
            origin=origin_of(self.public_socket),
            rpc=origin_of(self.private_socket),
            hub=self.host_json.task_hub,
            key=self.authorization.keys.durable,
        )

    async def run(self) -> int:
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, self.on_signal)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.on_hangup)
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
        warn_of_unknown_keys(self.host_json, self.bootstrap.command.app)
        self.functions.open()
        await self.serve(self.public_application(), self.public_socket, cancel=True)
        await self.serve(self.private_application(), self.private_socket, cancel=False)
        await self.supervisor.start_first(self.bootstrap.worker)
        write(function_list(self.routes, self.catalog, origin_of(self.public_socket)))
        self.tasks.spawn(self.supervisor.keep_running())
        await warm_up(self.supervisor, self.catalog)
        await self.engine.recover()
        self.timers.start()
        self.queues.start(self.catalog)
        write_port(self.bootstrap.lock, self.port)
        log_line(f"ready: {origin_of(self.public_socket)}")

    def public_application(self) -> web.Application:
        application = web.Application(client_max_size=REST_LIMIT)
        apply_cors(self.bootstrap.cors, application)
        foreign = ForeignRequests(allowed=self.options.hosts, cors=self.bootstrap.cors)
        foreign.add_to(application, self.authorization.is_management)
        self.authorization.add_to(application)
        add_custom_headers(self.host_json.custom_headers, application)
        AdminApi(
            supervisor=self.supervisor,
            timers=self.timers,
            routes=lambda: self.routes,
            stopping=self.stopped.is_set,
            redeliveries=self.engine.redeliveries.counts,
            outage=self.storage.outage,
        ).add_to(application)
        self.management_api.add_to(application, WEBHOOKS)
        application.router.add_route("*", ANY_PATH, self.functions.handle)
        return application

    def private_application(self) -> web.Application:
        """Like the Durable extension, answers what it does not know with 404 and no body: SDKs parse every body."""
        application = web.Application(client_max_size=REST_LIMIT)
        ForeignRequests().add_to(application, lambda _: True)
        self.management_api.add_to(application, "/durabletask/of/{invocation}")
        application.router.add_route("*", ANY_PATH, not_found)
        return application

    async def serve(self, application: web.Application, listener: socket, *, cancel: bool) -> None:
        runner = web.AppRunner(
            application,
            access_log=None,
            handler_cancellation=cancel,
            shutdown_timeout=AIOHTTP_DRAIN_S,
            auto_decompress=False,
            max_line_size=HEADER_LIMIT,
            max_field_size=HEADER_LIMIT,
        )
        slow = SlowClients()
        slow.add_to(application)
        await runner.setup()
        if runner.server is not None:
            self.tasks.spawn(slow.watch(runner.server))
        await web.SockSite(runner, listener).start()
        self.runners.append(runner)

    def on_worker_started(self, pid: int) -> None:
        self.write_state(pid, ready=False)

    def on_worker_ready(self, pid: int, ready: WorkerReady) -> None:
        if newer := newer_sdk_functions(ready):
            raise AppFailedToLoadError(NEWER_SDK.format(functions=", ".join(newer)))
        self.catalog = catalog_from_worker(ready, self.bootstrap.command.environment)
        try:
            self.routes = routes_of(self.catalog, self.host_json.route_prefix)
        except InvalidRouteError as error:
            raise AppFailedToLoadError(str(error)) from None
        asking = [route.function.name for route in self.routes if route.level is AuthLevel.FUNCTION]
        self.authorization.keys = with_function_keys(self.bootstrap.key_file, self.authorization.keys, asking)
        self.write_state(pid, ready=True)
        log_line(f"worker {pid} loaded the app: {len(ready.functions)} functions")
        for text in self.catalog.errors:
            log_line(f"warning: {text}")
        for function in self.catalog.functions.values():
            for kind in unsupported_bindings(function):
                log_line(f"warning: function {function.name} has a binding that is not supported: {kind}")

    def on_worker_lost(self) -> None:
        self.write_state(None, ready=False)

    def write_state(self, worker: int | None, *, ready: bool) -> None:
        self.state_file.write(HostState(host_pid=os.getpid(), worker_pid=worker, port=self.port, ready=ready))

    def on_signal(self) -> None:
        if self.stopped.is_set():
            os._exit(130)
        log_line("stopping")
        self.stopped.set()

    def on_hangup(self) -> None:
        """Updates the app worker by worker, from the folder to which a link of the app leads now."""
        if not self.stopped.is_set():
            self.tasks.spawn(self.supervisor.update(replace(self.bootstrap.command, app=self.options.app.resolve())))

    def on_internal_error(self, error: BaseException) -> None:
        write("".join(traceback.format_exception(error)))
        log_line("internal error: the host stops. Recorded state is not lost.")
        self.exit_code = 70
        self.stopped.set()

    async def stop(self) -> None:
        """Accepts no new requests, episodes or timers, waits for running work for a limited time, then stops the
        worker.
        """
        self.engine.stop()
        public, private = (*self.runners, None, None)[:2]
        await asyncio.gather(self.engine.drain(0.0 if self.exit_code else DRAIN_S), clean_up(public))
        await self.tasks.stop()
        await clean_up(private)
        await self.functions.aclose()
        await self.supervisor.stop()
        await self.storage.run(self.store.database.close)
        self.storage.stop()
        self.on_worker_lost()


async def not_found(request: web.Request) -> web.Response:  # noqa: ARG001 - the shape of a handler
    return web.Response(status=404)


async def clean_up(runner: web.AppRunner | None) -> None:
    if runner is not None:
        await runner.cleanup()


def warn_of_unknown_keys(settings: HostSettings, app: Path) -> None:
    if settings.unknown:
        log_line(f"warning: {app / 'host.json'} has unsupported keys: {', '.join(settings.unknown)}")
