"""How is a host of the bench started, filled and asked?"""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

DURABLE = "/runtime/webhooks/durabletask"


APP = """
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.activity_trigger(input_name="given")
async def echo(given):
    return given


@app.orchestration_trigger(context_name="context")
def chain(context):
    for n in range(context.get_input()):
        yield context.call_activity("echo", n)


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    return len((yield context.task_all([context.call_activity("echo", n) for n in range(context.get_input())])))


@app.orchestration_trigger(context_name="context")
def eternal(context):
    left = context.get_input()
    yield context.call_activity("echo", left)
    if left > 1:
        context.continue_as_new(left - 1)


@app.route(route="trivial", methods=["GET"])
async def trivial(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that runs. `start_ms` is from its start to the first 200."""

    http: aiohttp.ClientSession
    process: psutil.Process
    start_ms: float

    async def start(self, name: str, value: int, query: str = "") -> int:
        async with self.http.post(f"{DURABLE}/orchestrators/{name}{query}", json=json.dumps(value)) as answer:
            await answer.read()
            return answer.status

    async def run(self, name: str, value: int) -> float:
        """Milliseconds of one orchestration from start to end."""
        began = time.perf_counter()
        status = await self.start(name, value, "?timeout=60&pollingInterval=0.001")
        assert status == 200, status
        return (time.perf_counter() - began) * 1000

    async def rests(self) -> None:
        """Returns when all orchestrations have completed."""
        query = {"runtimeStatus": "Pending,Running", "top": "1"}
        found: list[Any] = [None]
        while found:
            async with self.http.get(f"{DURABLE}/instances", params=query) as answer:
                found = await answer.json()
            await asyncio.sleep(0.01)

    def cpu_s(self) -> float:
        """Of the host and its worker."""
        both = (self.process, *self.process.children())
        return sum(times.user + times.system for times in (one.cpu_times() for one in both))


def port_of(state: Path) -> int | None:
    if not state.exists():
        return None
    found: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
    return found["port"] if found["ready"] else None


async def first_answer(state: Path, process: subprocess.Popen[bytes]) -> aiohttp.ClientSession:
    async with asyncio.timeout(30):
        while (port := port_of(state)) is None:
            assert process.poll() is None, "the host has ended"
            await asyncio.sleep(0.002)
    http = aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=aiohttp.TCPConnector(limit=0))
    async with http.get("/api/trivial") as answer:
        assert answer.status == 200, answer.status
    return http


def write_app(folder: Path) -> None:
    folder.mkdir()
    (folder / "function_app.py").write_text(APP, encoding="utf-8")


@contextlib.asynccontextmanager
async def serving(folder: Path, fill: Callable[[sqlite3.Connection], None] | None = None) -> AsyncGenerator[Host]:
    """A host on a database of its own, which `fill` may fill while a host rests."""
    write_app(folder)
    if fill is not None:
        async with serving(folder / "before"):
            pass
        (folder / "before" / "hub.db").rename(folder / "hub.db")
        with contextlib.closing(sqlite3.connect(folder / "hub.db")) as database, database:
            fill(database)
    places = ["--app", folder, "--db", folder / "hub.db", "--state", folder / "state.json", "--port", "0"]
    began = time.perf_counter()
    command = [sys.executable, "-m", "devhost", "start", *map(str, places)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)  # noqa: S603, ASYNC220 - our own program, started at once
    http: aiohttp.ClientSession | None = None
    try:
        http = await first_answer(folder / "state.json", process)
        yield Host(http=http, process=psutil.Process(process.pid), start_ms=(time.perf_counter() - began) * 1000)
    finally:
        if http is not None:
            await http.close()
        process.terminate()
        await asyncio.to_thread(process.wait)
