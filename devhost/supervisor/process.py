"""How does one worker process start, load the app, run invocations and stop?"""

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from devhost.frames import Header, Pipe
from devhost.supervisor.launcher import LaunchedWorker, has_exited
from devhost.supervisor.messages import (
    AppFailedToLoadError,
    FunctionRaised,
    FunctionReturned,
    IndexedFunction,
    Invocation,
    InvocationResult,
    NotBegunError,
    WorkerLostError,
    WorkerReady,
)

STOP_TIMEOUT_S = 2.0


def result_from_frame(header: Header, body: bytes) -> InvocationResult:
    if header["ok"]:
        return FunctionReturned(type=header["type"], body=body, header=header)
    return FunctionRaised(message=header["message"], stack=header["stack"])


def ready_from_frame(header: Header) -> WorkerReady:
    functions = tuple(
        IndexedFunction(name=one["name"], id=one["id"], bindings=tuple(one["bindings"])) for one in header["functions"]
    )
    return WorkerReady(functions=functions, http=header["http"])


class WorkerProcess:
    """One worker process. `lost` is set when the process has ended, even if one of its children holds the pipe.

    `begun` are the HTTP invocations that the worker has begun, until they are forgotten. `answers` counts the HTTP
    answers that are not complete: a stream outlives its invocation.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pipe = Pipe(self.on_frame, self.on_end)
        self.loaded: asyncio.Future[WorkerReady] = loop.create_future()
        self.lost = asyncio.Event()
        self.pending: dict[str, tuple[Invocation, asyncio.Future[InvocationResult]]] = {}
        self.begun: set[str] = set()
        self.answers = 0
        self.launched: LaunchedWorker | None = None
        self.exit: asyncio.Future[int] | None = None
        self.lifeline_closed = False
        self.left_running: list[str] = []

    @property
    def pid(self) -> int:
        return self.launched.process.pid if self.launched else -1

    @property
    def has_ended(self) -> bool:
        """Known at once: `lost` follows when the event loop hears of it."""
        return self.lost.is_set() or (self.launched is not None and has_exited(self.pid))

    @property
    def is_working(self) -> bool:
        return not self.has_ended and (self.answers > 0 or bool(self.pending))

    @contextmanager
    def answering(self) -> Generator[None]:
        self.answers += 1
        try:
            yield
        finally:
            self.answers -= 1

    def trace_of(self, invocation: str) -> str | None:
        waiting = self.pending.get(invocation)
        return waiting[0].trace.parent if waiting else None

    async def connect(self, launched: LaunchedWorker, client: str) -> None:
        """`client` is the JSON that the app's durable clients receive."""
        self.launched = launched
        self.exit = asyncio.ensure_future(asyncio.to_thread(launched.process.wait))
        self.exit.add_done_callback(lambda _: self.pipe.close())
        await asyncio.get_running_loop().create_unix_connection(lambda: self.pipe, sock=launched.channel)
        self.pipe.send({"kind": "init", "client": client})

    async def wait_until_loaded(self) -> WorkerReady:
        """Raises AppFailedToLoadError with the app's traceback, or WorkerLostError if the process ended."""
        try:
            return await self.loaded
        finally:
            self.loaded.cancel()

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        if self.has_ended:
            raise NotBegunError(invocation.description)
        result: asyncio.Future[InvocationResult] = asyncio.get_running_loop().create_future()
        self.pending[invocation.id] = (invocation, result)
        self.pipe.send(header_from_invocation(invocation), invocation.body)
        try:
            return await result
        finally:
            self.pending.pop(invocation.id, None)

    def on_frame(self, header: Header, body: bytes) -> None:
        if header["kind"] == "result":
            waiting = self.pending.get(header["id"])
            if waiting and not waiting[1].done():
                waiting[1].set_result(result_from_frame(header, body))
        elif header["kind"] == "begun":
            self.begun.add(header["id"])
        elif not self.loaded.done():
            self.on_loaded(header)

    def on_loaded(self, header: Header) -> None:
        if header["kind"] == "ready":
            self.loaded.set_result(ready_from_frame(header))
        else:
            self.loaded.set_exception(AppFailedToLoadError(header["stack"] or header["message"]))

    def on_end(self) -> None:
        self.lost.set()
        self.left_running = [invocation.description for invocation, _ in self.pending.values()]
        if not self.loaded.done():
            self.loaded.set_exception(WorkerLostError("loading the app"))
        for invocation, result in self.pending.values():
            if not result.done():
                result.set_exception(self.loss_of(invocation))

    def loss_of(self, invocation: Invocation) -> WorkerLostError:
        began = invocation.type != "http" or invocation.id in self.begun
        return WorkerLostError(invocation.description) if began else NotBegunError(invocation.description)

    async def stop(self) -> int:
        """Ends the process and returns its exit code. Closing the lifeline stops a worker that still responds."""
        launched, ended = self.launched, self.exit
        if launched is None or ended is None:
            return 0
        if not self.lifeline_closed:
            self.lifeline_closed = True
            os.close(launched.lifeline)
        self.pipe.close()
        await asyncio.wait({ended}, timeout=STOP_TIMEOUT_S)
        if not ended.done():
            launched.process.kill()
        return await ended


def header_from_invocation(invocation: Invocation) -> Header:
    header: dict[str, Any] = {"kind": "invoke", "id": invocation.id, "function": invocation.function_id}
    header |= {"type": invocation.type, "trace": invocation.trace.parent, "trace_state": invocation.trace.state}
    optional = {"http": invocation.http, "metadata": invocation.metadata}
    return header | {name: value for name, value in optional.items() if value is not None}
