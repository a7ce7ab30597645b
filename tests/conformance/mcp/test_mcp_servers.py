"""Does the client of MCP work with servers that nobody here wrote: of the official Python and TypeScript SDKs?"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from os import environ
from pathlib import Path
from typing import Any

import pytest

from clients.clock import SystemClock
from clients.tools.factory import ToolClients, build_tools
from clients.tools.port import AS_APP, AnsweredBy, ToolAnswer, ToolRequest
from domain.tools.catalog import ServerKind, ServerTool, ToolServer
from domain.tools.listings.listing import unusable_reason
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec, python_command
from tests.conformance.installing import everything_server
from tests.fakes.worlds import OWNER

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

READY_S = 60.0
OLD = "2025-11-25"
NEW = "2026-07-28"


class Judged:
    """A server, and the client that the product uses."""

    def __init__(self, port: int) -> None:
        self.tools: ToolClients = build_tools(SystemClock(), loopback=True, client_id=None)
        address = f"http://127.0.0.1:{port}"
        self.server = ToolServer(label="judge", kind=ServerKind.MCP, address=address, path="/mcp", tools={})

    async def call(self, name: str, on_progress: Any = lambda: None, **arguments: Any) -> ToolAnswer:
        tool = ServerTool(name=name)
        return await self.tools.call(
            ToolRequest(
                server=self.server,
                tool=tool,
                arguments=arguments,
                key="mcp_1",
                owner=OWNER,
                on_progress=on_progress,
            )
        )

    async def revision(self) -> str:
        async with self.tools.mcp.sessions.using(self.server, AS_APP) as session:
            return (await session.client()).protocol_version


@asynccontextmanager
async def judged_by(folder: Path, command: Sequence[str | Path]) -> AsyncGenerator[Judged]:
    """Start a server in a process of its own."""
    spec = ProcessSpec(
        name="judge",
        command=[str(each) for each in command],
        environment={**environ, "PORT": "0"},
        log=folder / "judge.log",
        folder=ROOT,
    )
    child = ChildProcess(spec)
    try:
        one = Judged(await asyncio.to_thread(child.wait_for, child.ready_port, READY_S))
        yield one
        await one.tools.close()
    finally:
        child.stop()


async def test_the_typescript_sdks_own_test_server_is_listed_and_called(tmp_path: Path) -> None:
    signs: list[int] = []
    async with judged_by(tmp_path, everything_server()) as one:
        listing = await one.tools.listing(one.server)
        assert listing.problem == ""
        assert {each.name: unusable_reason(each) for each in listing.tools if unusable_reason(each)} == {}
        assert await one.revision() == OLD
        assert (await one.call("echo", message="hello")).text == "Echo: hello"
        assert "3" in (await one.call("get-sum", a=1, b=2)).text
        assert '"temperature":' in (await one.call("get-structured-content", location="Chicago")).text
        picture = await one.call("get-tiny-image")
        assert "[image of the type image/png]" in picture.text
        assert [each.partition(",")[0] for each in picture.images] == ["data:image/png;base64"]
        assert "demo://resource" in (await one.call("get-resource-links", count=2)).text
        unknown = await one.call("nothing")
        assert (unknown.by, unknown.is_success) == (AnsweredBy.TOOL, False)
        slow = await one.call("trigger-long-running-operation", lambda: signs.append(1), duration=1, steps=4)
        assert (slow.is_success, len(signs)) == (True, 4)
        await given_up(one, "trigger-long-running-operation", duration=600, steps=1200)


async def given_up(one: Judged, name: str, **arguments: Any) -> None:
    """Give a call up after its first sign of life; the session goes on."""
    started = asyncio.Event()
    running = asyncio.create_task(one.call(name, started.set, **arguments))
    await started.wait()
    running.cancel()
    assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)
    assert (await one.tools.listing(one.server)).problem == ""


@pytest.mark.parametrize(("era", "revision"), [("new", NEW), ("old", OLD)])
async def test_a_server_of_the_python_sdk_is_listed_and_called_in_both_eras(
    tmp_path: Path, era: str, revision: str
) -> None:
    async with judged_by(tmp_path, python_command("standins.mcp_tools", "--era", era)) as one:
        assert (await one.tools.listing(one.server)).problem == ""
        assert await one.revision() == revision
        assert "on its way" in (await one.call("find_order", number="A-1")).text
        await given_up(one, "wait", steps=100_000)
        assert "on its way" in (await one.call("find_order", number="A-2")).text
