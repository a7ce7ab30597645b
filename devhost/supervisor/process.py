"""How does one worker process live: spawned, loaded, asked, ended?"""

import asyncio
import os
from typing import Any

from devhost.frames import Header, Pipe
from devhost.supervisor.launcher import Launched
from devhost.supervisor.messages import (
    Answer,
    AppFailedToLoadError,
    Indexed,
    Invocation,
    Raised,
    Ready,
    Returned,
    WorkerLostError,
)

STOP_S = 2.0


def answer_from_frame(header: Header, body: bytes) -> Answer:
    if header["ok"]:
        return Returned(type=header["type"], body=body, header=header)
    return Raised(message=header["message"], stack=header["stack"])


def ready_from_frame(header: Header) -> Ready:
    functions = tuple(
        Indexed(name=one["name"], id=one["id"], bindings=tuple(one["bindings"])) for one in header["functions"]
    )
    return Ready(functions=functions, http=header["http"])


class WorkerProcess:
    """One life of a worker. `lost` is set when the process is gone, even if a child of it still holds the pipe."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pipe = Pipe(self.on_frame, self.on_end)
        self.loaded: asyncio.Future[Ready] = loop.create_future()
        self.lost = asyncio.Event()
        self.waiting: dict[str, tuple[Invocation, asyncio.Future[Answer]]] = {}
        self.launched: Launched | None = None
        self.exit: asyncio.Future[int] | None = None
        self.cut = False
        self.left_running: list[str] = []

    @property
    def pid(self) -> int:
        return self.launched.process.pid if self.launched else -1

    def trace_of(self, invocation: str) -> str | None:
        waiting = self.waiting.get(invocation)
        return waiting[0].trace.parent if waiting else None

    async def adopt(self, launched: Launched, client: str) -> None:
        """`client` is the JSON that the durable clients of the app receive."""
        self.launched = launched
        self.exit = asyncio.ensure_future(asyncio.to_thread(launched.process.wait))
        self.exit.add_done_callback(lambda _: self.pipe.close())
        await asyncio.get_running_loop().create_unix_connection(lambda: self.pipe, sock=launched.channel)
        self.pipe.send({"kind": "init", "client": client})

    async def load(self) -> Ready:
        """Raises AppFailedToLoadError with the app's traceback, WorkerLostError when the process ended instead."""
        try:
            return await self.loaded
        finally:
            self.loaded.cancel()

    async def invoke(self, invocation: Invocation) -> Answer:
        if self.lost.is_set():
            raise WorkerLostError(invocation.what)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting[invocation.id] = (invocation, answer)
        self.pipe.send(header_from_invocation(invocation), invocation.body)
        try:
            return await answer
        finally:
            self.waiting.pop(invocation.id, None)

    def on_frame(self, header: Header, body: bytes) -> None:
        if header["kind"] == "result":
            waiting = self.waiting.get(header["id"])
            if waiting and not waiting[1].done():
                waiting[1].set_result(answer_from_frame(header, body))
        elif not self.loaded.done():
            self.on_loaded(header)

    def on_loaded(self, header: Header) -> None:
        if header["kind"] == "ready":
            self.loaded.set_result(ready_from_frame(header))
        else:
            self.loaded.set_exception(AppFailedToLoadError(header["stack"] or header["message"]))

    def on_end(self) -> None:
        self.lost.set()
        self.left_running = [invocation.what for invocation, _ in self.waiting.values()]
        if not self.loaded.done():
            self.loaded.set_exception(WorkerLostError("loading the app"))
        for invocation, answer in self.waiting.values():
            if not answer.done():
                answer.set_exception(WorkerLostError(invocation.what))

    async def stop(self) -> int:
        """Ends the process and says how it ended. Closing the lifeline is enough for a worker that still runs."""
        launched, ended = self.launched, self.exit
        if launched is None or ended is None:
            return 0
        if not self.cut:
            self.cut = True
            os.close(launched.lifeline)
        self.pipe.close()
        await asyncio.wait({ended}, timeout=STOP_S)
        if not ended.done():
            launched.process.kill()
        return await ended


def header_from_invocation(invocation: Invocation) -> Header:
    header: dict[str, Any] = {"kind": "invoke", "id": invocation.id, "function": invocation.function_id}
    header |= {"type": invocation.type, "trace": invocation.trace.parent, "trace_state": invocation.trace.state}
    return header | {"http": invocation.http} if invocation.http is not None else header
