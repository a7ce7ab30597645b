"""Which requests survive the death of the worker that they were meant for?"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer, unused_port

from devhost.app.catalog import FunctionMetadata
from devhost.frames import encode
from devhost.http import server
from devhost.http.authorization import KeyAuthorization
from devhost.http.keys import HostKeys
from devhost.http.routes import template_from_text
from devhost.http.server import WORKERS_TRIED, FunctionRoute, FunctionServer
from devhost.http.throttle import Throttle
from devhost.supervisor.launcher import LaunchedWorker, WorkerCommand
from devhost.supervisor.messages import (
    FunctionReturned,
    Invocation,
    InvocationResult,
    NotBegunError,
    TraceContext,
    WorkerLostError,
    WorkerNotReadyError,
)
from devhost.supervisor.process import WorkerProcess
from devhost.supervisor.supervisor import Supervisor, WorkerObserver

WATCH = WorkerObserver(started=lambda _: None, ready=lambda _pid, _ready: None, lost=lambda: None)
OPEN = KeyAuthorization(HostKeys(master="m", host="h", durable="d"), enforced=False, levels={})
FUNCTION = FunctionMetadata(name="f", id="f", trigger={}, bindings=())
BODY = b"x" * 300_000

type Ask = Callable[[str, bytes | None], AbstractAsyncContextManager[ClientResponse]]


@pytest.fixture
def ended_child() -> Iterator[LaunchedWorker]:
    """A process that has ended, for which nobody has waited."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    ours, theirs = socket.socketpair()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with ours, theirs:
        yield LaunchedWorker(process=process, channel=ours, lifeline=-1)
    process.wait()


def supervisor() -> Supervisor:
    return Supervisor(command=WorkerCommand(app=Path(), environment={}), client="", observer=WATCH, timeout=None)


async def test_a_worker_that_ended_unnoticed_gets_no_request(ended_child: LaunchedWorker) -> None:
    host = supervisor()
    host.process = WorkerProcess()
    host.process.launched = ended_child
    host.up.set()
    with pytest.raises(WorkerNotReadyError):
        await host.wait_for_worker(0.01)


class Workers(Supervisor):
    """Workers whose functions wait for their requests; `addresses` are those of their servers, one after another."""

    def __init__(self, *addresses: str, begins: bool = False) -> None:
        super().__init__(command=WorkerCommand(app=Path(), environment={}), client="", observer=WATCH, timeout=None)
        self.addresses = addresses
        self.begins = begins
        self.used: list[WorkerProcess] = []

    async def wait_for_worker(self, timeout_s: float | None) -> WorkerProcess:
        """Each worker but the last one has just ended when it is asked for."""
        worker = WorkerProcess()
        self.used.append(worker)
        if len(self.used) < len(self.addresses):
            worker.lost.set()
        return worker

    async def invoke(self, invocation: Invocation, process: WorkerProcess | None = None) -> InvocationResult:
        if process is not None and self.begins:
            process.begun.add(invocation.id)
        if process is None or process.lost.is_set():
            raise NotBegunError(invocation.description)
        return FunctionReturned(type="string", body=b"%d" % len(invocation.body), header={})

    def address(self) -> str:
        return self.addresses[min(len(self.used), len(self.addresses)) - 1]


async def size_of(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


def application(handler: object) -> web.Application:
    made = web.Application(client_max_size=2**20)
    made.router.add_route("*", "/{path:.*}", handler)  # type: ignore[reportArgumentType] - a bound method or a function
    return made


@asynccontextmanager
async def serving(workers: Workers, *, streaming: bool = True) -> AsyncGenerator[Ask]:
    """Yields what sends a request to the host: `ask("POST", body)`."""
    route = FunctionRoute(function=FUNCTION, template=template_from_text("{*p}"))
    functions = FunctionServer(
        supervisor=workers,
        authorization=OPEN,
        routes=lambda: [route],
        http=lambda: workers.address() if streaming else None,
        throttle=Throttle(running=None, outstanding=None),
    )
    functions.open()
    async with (
        aclosing(functions),
        TestServer(application(functions.handle)) as outer,
        ClientSession() as session,
    ):

        def ask(method: str, body: bytes | None) -> AbstractAsyncContextManager[ClientResponse]:
            return session.request(method, outer.make_url("/api/f"), data=body)

        yield ask


@asynccontextmanager
async def asked(
    workers: Workers, *, streaming: bool = True, body: bytes | None = BODY
) -> AsyncGenerator[tuple[int, str]]:
    """Post to the host; yields the status and the text of its answer."""
    async with serving(workers, streaming=streaming) as ask, ask("POST", body) as answer:
        yield answer.status, await answer.text()


def refused() -> str:
    return f"http://127.0.0.1:{unused_port()}"


async def test_a_request_that_no_worker_received_waits_for_the_next_one() -> None:
    async with TestServer(application(size_of)) as own:
        workers = Workers(refused(), refused(), str(own.make_url("")).rstrip("/"))
        async with asked(workers) as answer:
            assert answer == (200, str(len(BODY)))
    assert len(workers.used) == 3


async def test_a_worker_that_lives_and_takes_no_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UNNOTICED_S", 0.001)
    workers = Workers(refused())
    async with asked(workers) as (status, _):
        assert status == 502
    assert len(workers.used) == 1


async def test_workers_that_die_one_after_another_are_given_up() -> None:
    workers = Workers(*[refused()] * (WORKERS_TRIED + 1))
    async with asked(workers) as (status, _):
        assert status == 502
    assert len(workers.used) == WORKERS_TRIED


async def aborting(request: web.Request) -> web.Response:
    await request.content.readany()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_a_request_whose_function_never_began_waits_for_the_next_worker() -> None:
    async with TestServer(application(aborting)) as dying, TestServer(application(size_of)) as own:
        workers = Workers(str(dying.make_url("")).rstrip("/"), str(own.make_url("")).rstrip("/"))
        async with asked(workers, body=None) as answer:
            assert answer == (200, "0")


@pytest.mark.parametrize("body", [BODY, None], ids=["its body was taken", "its function began"])
async def test_a_request_that_a_worker_received_is_not_repeated(body: bytes | None) -> None:
    async with TestServer(application(aborting)) as dying:
        workers = Workers(*[str(dying.make_url("")).rstrip("/")] * 2, begins=body is None)
        async with asked(workers, body=body) as (status, _):
            assert status == 502
    assert len(workers.used) == 1


@pytest.mark.parametrize("began", [False, True])
async def test_what_a_worker_said_before_its_end_is_heard(*, began: bool) -> None:
    """It tells which functions it has begun, also if the host finds its end by a write that fails."""
    worker, (ours, theirs) = WorkerProcess(), socket.socketpair()
    worker.loaded.cancel()
    ours.setblocking(False)
    await asyncio.get_running_loop().create_unix_connection(lambda: worker.pipe, sock=ours)
    if began:
        theirs.sendall(encode({"kind": "begun", "id": "1"}))
    theirs.close()
    running = Invocation(id="1", function_id="f", description="f", type="http", trace=TraceContext(parent=""))
    with pytest.raises(WorkerLostError) as lost:
        await worker.invoke(running)
    assert isinstance(lost.value, NotBegunError) is not began


async def test_a_classic_function_gets_a_worker_that_lives_when_the_body_has_come() -> None:
    workers = Workers("", "")
    async with asked(workers, streaming=False) as answer:
        assert answer == (200, str(len(BODY)))
    assert len(workers.used) == 2


async def test_a_connection_that_the_apps_server_closed_after_an_answer_loses_no_request() -> None:
    """It closes one after a function that raised, without saying so before."""
    served: list[object] = []

    async def once(request: web.Request) -> web.Response:
        if request.transport in served:
            return await aborting(request)
        served.append(request.transport)
        return await size_of(request)

    async with TestServer(application(once)) as own, serving(Workers(str(own.make_url("")).rstrip("/"))) as ask:
        for method, body in (("GET", None), ("POST", BODY), ("PUT", b""), ("DELETE", None), ("GET", None)):
            async with ask(method, body) as answer:
                assert (answer.status, await answer.text()) == (200, str(len(body or b"")))
    assert len(served) == 5
