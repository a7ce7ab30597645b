"""What do callers get while there is no worker?"""

import asyncio
import shutil
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from devhost.app.catalog import FunctionMetadata
from devhost.http import server
from devhost.http.authorization import KeyAuthorization
from devhost.http.forwarding import upstream_session
from devhost.http.keys import HostKeys
from devhost.http.routes import template_from_text
from devhost.http.server import FunctionRoute, FunctionServer
from devhost.http.throttle import Throttle
from devhost.supervisor.launcher import WorkerCommand
from devhost.supervisor.messages import Invocation, InvocationResult, TraceContext, WorkerNotReadyError, WorkerReady
from devhost.supervisor.process import WorkerProcess
from devhost.supervisor.supervisor import Supervisor, WorkerObserver, exit_text, restart_delay_s, running_text
from tests.devhost.hosts import APPS, RunningHost, until


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


async def test_patience_for_a_worker_has_an_end() -> None:
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
    async with TestServer(web.Application()) as own, upstream_session() as upstream, ClientSession() as session:
        functions = FunctionServer(
            supervisor=asked,
            authorization=OPEN,
            routes=lambda: [route],
            http=lambda: str(own.make_url("")),
            throttle=UNLIMITED,
        )
        functions.session = upstream
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", functions.handle)
        async with TestServer(application) as outer, session.get(outer.make_url("/docs")) as answer:
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
