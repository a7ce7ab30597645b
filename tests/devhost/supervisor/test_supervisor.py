"""What do callers get while there is no worker?"""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from devhost.app.catalog import FunctionMetadata
from devhost.http import server
from devhost.http.authorization import KeyAuthorization
from devhost.http.keys import HostKeys
from devhost.http.routes import template_from_text
from devhost.http.server import FunctionRoute, FunctionServer
from devhost.http.throttle import Throttle
from devhost.supervisor.launcher import WorkerCommand
from devhost.supervisor.messages import Invocation, InvocationResult, TraceContext, WorkerNotReadyError, WorkerReady
from devhost.supervisor.process import WorkerProcess
from devhost.supervisor.supervisor import (
    MAX_FIRST_LOADS,
    Supervisor,
    WorkerObserver,
    exit_text,
    restart_delay_s,
    running_text,
)
from tests.devhost.hosts import APPS, RunningHost, is_alive, until


def ignore_ready(pid: int, ready: WorkerReady) -> None:
    assert pid > 0
    assert ready.functions


OPEN = KeyAuthorization(HostKeys(master="m", host="h", durable="d"), enforced=False, levels={})
UNLIMITED = Throttle(running=None, outstanding=None)
WATCH = WorkerObserver(started=lambda _: None, ready=ignore_ready, lost=lambda: None)


def supervisor() -> Supervisor:
    return Supervisor(command=WorkerCommand(app=Path(), environment={}), client="", observer=WATCH, timeout=None)


def test_restarts_wait_longer_the_more_workers_die_young() -> None:
    assert [restart_delay_s(n) for n in (1, 2, 3, 4)] == [0.0, 0.1, 0.2, 0.4]
    assert restart_delay_s(50) == 10.0


def test_the_exit_of_a_worker_is_logged_with_its_running_functions() -> None:
    assert running_text([]) == "nothing was running"
    assert running_text(["timer t", "activity a (i)", "timer t"]) == "while running 2 x timer t, activity a (i)"
    assert (exit_text(-9), exit_text(3)) == ("signal 9", "exit code 3")


async def test_the_wait_for_a_worker_is_bounded() -> None:
    with pytest.raises(WorkerNotReadyError):
        await supervisor().wait_for_worker(0.01)


async def test_an_invocation_waits_for_a_worker_without_a_limit() -> None:
    invocation = Invocation(id="1", function_id="f", description="w", type="string", trace=TraceContext(parent=""))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(supervisor().invoke(invocation), 0.05)


async def test_without_a_worker_requests_end_in_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WORKER_TIMEOUT_S", 0.05)
    functions = FunctionServer(
        supervisor=supervisor(), authorization=OPEN, routes=list, http=lambda: None, throttle=UNLIMITED
    )
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", functions.handle)
    async with (
        TestServer(application) as test_server,
        ClientSession() as session,
        session.get(test_server.make_url("/api/x")) as answer,
    ):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


class NeverAnswers(Supervisor):
    """One worker, whose functions run until they are given up."""

    given_up = False

    async def wait_for_worker(self, timeout_s: float | None) -> WorkerProcess:
        return WorkerProcess()

    async def invoke(self, invocation: Invocation, process: WorkerProcess | None = None) -> InvocationResult:
        try:
            return await asyncio.Future[InvocationResult]()
        finally:
            self.given_up = True


async def test_an_answer_of_the_apps_server_itself_leaves_no_function_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "UNCLAIMED_TIMEOUT_S", 0.01)
    asked = NeverAnswers(command=WorkerCommand(app=Path(), environment={}), client="", observer=WATCH, timeout=None)
    route = FunctionRoute(
        function=FunctionMetadata(name="f", id="f", trigger={}, bindings=()), template=template_from_text("{*p}")
    )
    async with TestServer(web.Application()) as own, ClientSession() as session:
        functions = FunctionServer(
            supervisor=asked,
            authorization=OPEN,
            routes=lambda: [route],
            http=lambda: str(own.make_url("")),
            throttle=UNLIMITED,
        )
        functions.open()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", functions.handle)
        async with (
            aclosing(functions),
            TestServer(application) as outer,
            session.get(outer.make_url("/docs")) as answer,
        ):
            assert answer.status == 404
        async with asyncio.timeout(30):
            await asyncio.gather(*functions.running.values(), return_exceptions=True)
    assert asked.given_up


def test_an_app_broken_while_it_runs_loads_again_when_it_is_repaired(tmp_path: Path) -> None:
    app = tmp_path / "app"
    shutil.copytree(APPS / "classic", app)
    sound = (app / "function_app.py").read_text(encoding="utf-8")
    host = RunningHost(app=app, folder=tmp_path).start()
    try:
        (app / "function_app.py").write_text("1 / 0", encoding="utf-8")
        old = host.kill_worker()
        until(lambda: "the app no longer loads; trying again" in host.log, "the host says so")
        (app / "function_app.py").write_text(sound, encoding="utf-8")
        with host.client() as client:
            assert client.get("/v1/text").text == "just text"
        assert host.state["worker_pid"] != old
        assert "ZeroDivisionError" in host.log
    finally:
        host.stop()


SLOW_APP = """
import pathlib, time
import azure.functions as func
loads = pathlib.Path(__file__).with_name("loads")
with loads.open("a") as file: file.write("x")
{first_loads}
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="text")
def text(req: func.HttpRequest) -> str:
    return "loaded"
"""


def app_that(folder: Path, first_loads: str) -> Path:
    folder.mkdir()
    (folder / "function_app.py").write_text(SLOW_APP.format(first_loads=first_loads), encoding="utf-8")
    return folder


def test_a_worker_that_is_killed_during_the_first_load_is_replaced(tmp_path: Path) -> None:
    app = app_that(tmp_path / "app", "time.sleep(2)")
    host = RunningHost(app=app, folder=tmp_path)
    host.spawn()
    try:
        killed: set[int | None] = {None}
        for _ in range(2):
            until(lambda: host.state.get("worker_pid") not in killed, "a worker loads")
            killed.add(host.kill_worker())
        host.wait_ready()
        with host.client() as client:
            assert client.get("/api/text").text == "loaded"
        assert host.log.count("the worker ended while it loaded the app; trying again") == 2
    finally:
        host.stop()


def test_an_app_that_ends_every_worker_while_it_loads_ends_the_host(tmp_path: Path) -> None:
    app = app_that(tmp_path / "app", "import os; os._exit(3)")
    host = RunningHost(app=app, folder=tmp_path)
    host.spawn()
    assert host.process is not None
    assert host.process.wait(60) == 1
    assert (app / "loads").stat().st_size == MAX_FIRST_LOADS
    assert "The worker ended while it loaded the app." in host.log


def test_an_app_of_the_next_durable_sdk_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """Its bindings say so; the first client call would fail otherwise."""
    app = app_that(tmp_path / "app", "")
    with (app / "function_app.py").open("a", encoding="utf-8") as file:
        file.write(NEWER_SDK_FUNCTION)
    host = RunningHost(app=app, folder=tmp_path)
    host.spawn()
    assert host.process is not None
    assert host.process.wait(60) == 1
    assert "version 2 of azure-functions-durable (the functions starts ask for its gRPC protocol)" in host.log
    assert "install 'azure-functions-durable<2'" in host.log
    assert "Traceback" not in host.log


NEWER_SDK_FUNCTION = """
@app.route(route="starts")
@app.generic_input_binding(arg_name="client", type="durableClient", durableRequiresGrpc=True)
def starts(req: func.HttpRequest, client: str) -> str:
    return client
"""


UPDATED_APP = """
import asyncio, pathlib
import azure.functions as func
{broken}
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="version")
def version(req: func.HttpRequest) -> str:
    return "{version}"

@app.route(route="slow")
async def slow(req: func.HttpRequest) -> str:
    pathlib.Path("{folder}/begun").touch()
    while not pathlib.Path("{folder}/ends").exists():
        await asyncio.sleep(0.01)
    return "{version}"
"""


def test_an_update_lets_the_old_worker_end_its_work_and_keeps_it_if_the_new_app_is_broken(tmp_path: Path) -> None:
    link = tmp_path / "app"

    def deploy(version: str, broken: str = "") -> None:
        folder = tmp_path / version
        folder.mkdir()
        text = UPDATED_APP.format(version=version, broken=broken, folder=tmp_path)
        (folder / "function_app.py").write_text(text, encoding="utf-8")
        (tmp_path / "fresh").symlink_to(folder)
        (tmp_path / "fresh").replace(link)

    deploy("one")
    host = RunningHost(app=link, folder=tmp_path).start()
    try:
        old = host.state["worker_pid"]
        with host.client() as client, ThreadPoolExecutor() as threads:
            slow = threads.submit(lambda: client.get("/api/slow").text)
            until((tmp_path / "begun").exists, "the slow function has begun")
            deploy("broken", broken="1 / 0")
            host.update()
            until(lambda: f"the update failed, and worker {old} stays" in host.log, "the host says so")
            assert client.get("/api/version").text == "one"
            deploy("two")
            host.update()
            host.wait_new_worker(old)
            assert client.get("/api/version").text == "two"
            killed = host.kill_worker()
            host.wait_new_worker(killed)
            assert client.get("/api/version").text == "two"
            assert is_alive(old)
            (tmp_path / "ends").touch()
            assert slow.result() == "one"
        until(lambda: not is_alive(old), "the old worker has ended")
    finally:
        host.stop()
