"""What does a call over MCP cost beside a plain POST, and what do configured servers cost at the start of the app?

`python -m benches.tools.mcp_calls [CALLS]`: calls of a tool of the official SDK's server in a process of its own, in
turns: the same JSON as a plain POST on a kept and on a new connection, and the product's client. Then medians of fresh
processes that import the app with no server and with ten.
"""

import asyncio
import json
import operator
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import httpx

from benches.command_line import chosen_number, counted
from benches.imports.app import SETTINGS
from benches.tables import print_table
from clients.clock import SystemClock
from clients.tools.factory import build_tools
from clients.tools.port import ToolRequest
from domain.identity.owners import Owner
from domain.tools.catalog import ServerKind, ServerTool, ToolServer
from standins.json_values import Json
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec, python_command

CALLS = 200
WARM = 10
READY_S = 60.0
SERVERS = 10
STARTS = 5
REVISION = "2026-07-28"
META = "io.modelcontextprotocol"
PLAIN = "plain POST on a new connection"
BEYOND_PLAIN = f"more than a {PLAIN}"
ARGUMENTS = {"number": "A-1"}
HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": REVISION,
    "mcp-method": "tools/call",
    "mcp-name": "find_order",
}
PROGRAM = """
import os, sys
sys.modules["rich"] = None
import function_app
from benches.tables import most_memory_mib
loaded = sorted({"mcp", "mcp_types", "httpx2"} & sys.modules.keys())
print(most_memory_mib(os.getpid()), ",".join(loaded) or "-")
"""
SERVER = '[servers.s{0}]\nkind = "mcp"\nurl = "http://127.0.0.1:{0}"\n[servers.s{0}.tools.find]\neffect = "read"\n'


def call_body(number: int) -> Json:
    client = {"name": "bench", "version": "1"}
    meta = {f"{META}/protocolVersion": REVISION, f"{META}/clientInfo": client, f"{META}/clientCapabilities": {}}
    params = {"name": "find_order", "arguments": ARGUMENTS, "_meta": meta}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


@asynccontextmanager
async def shop(folder: Path, era: str) -> AsyncGenerator[int]:
    """Serve the shop; yield its port."""
    command = python_command("standins.mcp_tools", "--era", era)
    spec = ProcessSpec(name="mcp", command=command, environment=os.environ, log=folder / "mcp.log", folder=ROOT)
    child = ChildProcess(spec)
    try:
        yield await asyncio.to_thread(child.wait_for, child.ready_port, READY_S)
    finally:
        child.stop()


async def milliseconds(call: Callable[[], Awaitable[object]]) -> float:
    started = perf_counter()
    await call()
    return (perf_counter() - started) * 1000


async def plain(http: httpx.AsyncClient, url: str) -> None:
    answer = await http.post(url, json=call_body(1), headers=HEADERS)
    assert '"status":"on its way"' in json.dumps(answer.json(), separators=(",", ":"))


async def measure(folder: Path, era: str, calls: int) -> list[tuple[str, list[float]]]:
    """Return the times of each way of calling; a plain call needs the newer revision, which has no session."""
    tools = build_tools(SystemClock(), loopback=True, client_id=None)
    async with shop(folder, era) as port:
        address = f"http://127.0.0.1:{port}"
        server = ToolServer(label="shop", kind=ServerKind.MCP, address=address, path="/mcp", tools={})
        owner = Owner(tenant="t", subject="user:u")
        request = ToolRequest(
            server=server, tool=ServerTool(name="find_order"), arguments=ARGUMENTS, key="mcp_1", owner=owner
        )
        kept = httpx.AsyncClient()
        fresh = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
        ways: dict[str, Callable[[], Awaitable[object]]] = {"the product's client": lambda: tools.call(request)}
        if era == "new":
            ways["plain POST on a kept connection"] = lambda: plain(kept, server.url)
            ways[PLAIN] = lambda: plain(fresh, server.url)
        times = {name: list[float]() for name in ways}
        for number in counted(range(WARM + calls), "calls"):
            for name, call in ways.items():
                lasted = await milliseconds(call)
                if number >= WARM:
                    times[name].append(lasted)
        for each in (kept, fresh):
            await each.aclose()
        await tools.close()
    rows = [(f"{name}, {REVISION if era == 'new' else '2025-11-25'}", each) for name, each in times.items()]
    own, *others = times.items()
    beyond = [(f"more than a {name}", list(map(operator.sub, own[1], each))) for name, each in others]
    return [*rows, *beyond]


def start(folder: Path, servers: int) -> tuple[float, str]:
    """Import the app in a fresh process; return its MiB, and the modules of MCP that it has loaded."""
    file = folder / f"{servers}.toml"
    file.write_text("".join(SERVER.format(9000 + number) for number in range(servers)), encoding="utf-8")
    environment = os.environ | SETTINGS | {"GANGLION_TOOLS": str(file)}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603 - a fixed command
    mebibytes, loaded = done.stdout.split()[-2:]
    return float(mebibytes), loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFigures:
    """Milliseconds of each way of calling, and MiB of the app's start without and with `SERVERS` servers."""

    calls: dict[str, list[float]]
    without_mib: float
    with_mib: float
    loaded: str

    @property
    def beyond_plain_ms(self) -> float:
        return statistics.median(self.calls[BEYOND_PLAIN])


def figures(calls: int) -> CallFigures:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [row for era in ("new", "old") for row in asyncio.run(measure(folder, era, calls))]
        pairs = [(start(folder, 0), start(folder, SERVERS)) for _ in range(STARTS)]
    none, ten = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    loaded = ",".join({pair[1][1] for pair in pairs})
    return CallFigures(calls=dict(rows), without_mib=none, with_mib=ten, loaded=loaded)


def show(found: CallFigures) -> None:
    print_table(
        ("call, ms", "median", "lowest"),
        [(way, f"{statistics.median(ms):.1f}", f"{min(ms):.1f}") for way, ms in found.calls.items()],
    )
    more = found.with_mib - found.without_mib
    sizes = [f"{each:.1f}" for each in (found.without_mib, found.with_mib, more)]
    print_table(
        ("start of the app", "no server", f"{SERVERS} servers", "more"),
        [("MiB", *sizes), ("modules of MCP", "-", found.loaded, "")],
    )


def main() -> None:
    show(figures(chosen_number(CALLS, "calls")))


if __name__ == "__main__":
    main()
