"""Has each call of an MCP server its effect once, where the worker is killed with -9 while the calls are open?"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from os import environ
from pathlib import Path
from typing import Any

import httpx
import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec, python_command
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Json, Reading, asking, calling
from tests.end_to_end.conftest import hasty
from tests.end_to_end.kills.test_survival import kill_worker
from tests.end_to_end.tools.test_agent import SHOP, plan
from tests.end_to_end.views import assert_one_stream
from tests.end_to_end.waiting import eventually

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(400)]

FILE = """
[servers.shop]
kind = "mcp"
url = "{url}"
trusted = true

[servers.shop.tools.refund_order]
effect = "write"
idempotency = "argument:key"
approval = "never"
timeout_s = 30
tries = 2

[servers.shop.tools.send_note]
effect = "write"
approval = "never"
timeout_s = 30
"""
ROUND = [("refund_order", {"number": "A-1"}), ("send_note", {"text": "refunded"})]
READY_S = 60.0
OPEN_S = 300.0
"""Longer than the tools may take: a call is still open when the worker is killed."""


@asynccontextmanager
async def shop(folder: Path, era: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Serve the shop of the official SDK in a process of its own."""
    command = python_command("standins.mcp_tools", "--era", era)
    log = folder / "mcp.log"
    child = ChildProcess(ProcessSpec(name="mcp", command=command, environment=environ, log=log, folder=ROOT))
    try:
        port = await asyncio.to_thread(child.wait_for, child.ready_port, READY_S)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        child.stop()


async def effects(http: httpx.AsyncClient) -> list[Json]:
    return (await http.get("/__effects")).json()["effects"]


@pytest.mark.parametrize("era", ["new", pytest.param("old", marks=pytest.mark.long)])
async def test_effects_happen_once_after_a_kill_in_mid_call(tmp_path: Path, era: str) -> None:
    async with shop(tmp_path, era) as http:
        file = tmp_path / "tools.toml"
        file.write_text(FILE.format(url=str(http.base_url).rstrip("/")))
        await http.put("/__faults", json={"delay_s": OPEN_S})
        with LocalCluster(hasty(tmp_path / "cluster", GANGLION_TOOLS=str(file))) as cluster:
            answer = await killed_in_mid_call(cluster, http)
        made = await effects(http)
    items: list[Any] = [item for item in answer["output"] if item["type"] == "mcp_call"]
    assert [(item["name"], item["status"]) for item in items] == [
        ("refund_order", "completed"),
        ("send_note", "incomplete"),
    ]
    assert "it is unknown whether the call has taken effect" in items[1]["error"]["content"]
    assert sorted(each["kind"] for each in made) == ["note", "refund"]
    assert [each["key"] for each in made if each["kind"] == "refund"] == [items[0]["id"]]


async def killed_in_mid_call(cluster: LocalCluster, http: httpx.AsyncClient) -> Json:
    """Kill the worker when both calls have had their effect and no answer; return the response at its end."""
    reading = Reading(body={**asking(plan(ROUND), tools=[SHOP]), "stream": True})
    async with calling(cluster) as caller, books_of(cluster.data) as books:
        following = asyncio.create_task(caller.follow_on(reading))
        await eventually(lambda: both(http), within_s=60, what="both effects")
        await http.put("/__faults", json={})
        await asyncio.to_thread(kill_worker, cluster)
        async with asyncio.timeout(180):
            await following
        assert_one_stream(reading)
        await books.settled(caller, reading.id)
        return await caller.poll(reading.id)


async def both(http: httpx.AsyncClient) -> bool | None:
    return len(await effects(http)) == len(ROUND) or None
