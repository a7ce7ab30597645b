"""Do calls run as tasks of FastMCP's server, whose extension nobody here wrote, also across kill -9?"""

import asyncio
import json
from copy import replace
from pathlib import Path
from typing import Any

import pytest

from clients.clock import SystemClock
from clients.tools.port import AnsweredBy, TaskStatus, ToolAnswer, ToolRequest, ToolTask
from domain.tools.call_record import RemoteTask
from domain.tools.catalog import ServerTool
from standins.cluster.local_cluster import LocalCluster
from state.turns.tool_calls import ToolCalls
from tests.conformance.installing import task_server
from tests.conformance.mcp.test_mcp_servers import NEW, Judged, judged_by
from tests.end_to_end.books import ALICE, books_of
from tests.end_to_end.callers import Json, Reading, asking, calling
from tests.end_to_end.conftest import hasty
from tests.end_to_end.kills.test_survival import kill_both
from tests.end_to_end.tools.test_agent import SHOP, plan
from tests.end_to_end.views import assert_one_stream
from tests.end_to_end.waiting import eventually
from tests.fakes.worlds import OWNER

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

LONG_S = 600.0
FILE = """
[servers.shop]
kind = "mcp"
url = "{url}"
trusted = true

[servers.shop.tools.build]
effect = "write"
approval = "never"
"""


def asked(one: Judged, answer: ToolAnswer, *, cancels: bool = False) -> ToolRequest:
    """Return the request that asks how far a task is, or cancels it."""
    assert answer.task
    request = ToolRequest(server=one.server, tool=ServerTool(name="build"), arguments={}, key="", owner=OWNER)
    return replace(request, task=answer.task.id, cancels=cancels)


async def counted(one: Judged) -> Json:
    return json.loads((await one.call("counted")).text)


async def end_of(one: Judged, begun: ToolAnswer) -> ToolAnswer:
    async def ended() -> ToolAnswer | None:
        answer = await one.tools.call(asked(one, begun))
        return None if answer.task and answer.task.status is TaskStatus.WORKING else answer

    return await eventually(ended, within_s=60, what="the end of a task")


async def test_a_task_of_another_server_is_begun_followed_and_cancelled(tmp_path: Path) -> None:
    async with judged_by(tmp_path, task_server()) as one:
        assert (await one.tools.listing(one.server)).problem == ""
        assert await one.revision() == NEW
        done = await end_of(one, await one.call("build", what="boat", seconds=0.5))
        assert "built boat" in done.text
        failed = await end_of(one, await one.call("break_down", what="boat"))
        assert (failed.by, "boat" in failed.text) in {(AnsweredBy.TOOL, True), (AnsweredBy.PROTOCOL, True)}
        long = await one.call("build", what="ark", seconds=LONG_S)
        assert long.task
        assert long.task.status is TaskStatus.WORKING
        await one.tools.call(asked(one, long, cancels=True))
        stopped = await end_of(one, long)
        assert stopped.task
        assert stopped.task.status is TaskStatus.CANCELLED
        unknown = await one.tools.call(replace(asked(one, long), task="nothing"))
        assert unknown.task
        assert unknown.task.status is TaskStatus.LOST
        assert await counted(one) == {"begun": ["boat", "ark"], "built": ["boat"]}


async def test_a_task_goes_on_while_worker_and_host_are_killed(tmp_path: Path) -> None:
    """The wait is the host's timer, and the id of the task is in the record of the call."""
    async with judged_by(tmp_path, task_server()) as one:
        file = tmp_path / "tools.toml"
        file.write_text(FILE.format(url=one.server.address))
        with LocalCluster(hasty(tmp_path / "cluster", GANGLION_TOOLS=str(file))) as cluster:
            answer = await killed_in_mid_task(cluster, one)
        [call] = [item for item in answer["output"] if item["type"] == "mcp_call"]
        assert (answer["status"], call["status"]) == ("completed", "completed")
        assert "built boat" in call["output"]
        assert await counted(one) == {"begun": ["boat"], "built": ["boat"]}


async def test_the_task_of_a_deleted_turn_is_cancelled(tmp_path: Path) -> None:
    async with judged_by(tmp_path, task_server()) as one:
        file = tmp_path / "tools.toml"
        file.write_text(FILE.format(url=one.server.address))
        with LocalCluster(hasty(tmp_path / "cluster", GANGLION_TOOLS=str(file))) as cluster:
            begun = await deleted_in_mid_task(cluster)
        stopped = await end_of(one, begun)
        assert stopped.task
        assert stopped.task.status is TaskStatus.CANCELLED
        assert await counted(one) == {"begun": ["ark"], "built": []}


async def deleted_in_mid_task(cluster: LocalCluster) -> ToolAnswer:
    """Delete a turn whose task has begun, and return that when nothing is left of its call."""
    rounds: Any = [("build", {"what": "ark", "seconds": LONG_S})]
    async with calling(cluster) as caller, books_of(cluster.data) as books:
        body = {**asking(plan(rounds), tools=[SHOP]), "background": True}
        turn = (await caller.create(body)).json()["id"]
        calls = ToolCalls(books.store, SystemClock())

        async def task() -> RemoteTask | None:
            return next((each.task for each in await calls.of_response(ALICE, turn)), None)

        async def nothing() -> bool | None:
            return None if await calls.documents(ALICE, turn) else True

        begun = await eventually(task, within_s=60, what="the task is in the record of its call")
        assert (await caller.http.delete(f"/v1/responses/{turn}")).is_success
        await eventually(nothing, within_s=60, what="nothing is left of the call")
        return ToolAnswer(status=200, text="", task=ToolTask(id=begun.id))


async def killed_in_mid_task(cluster: LocalCluster, one: Judged) -> Json:
    """Kill worker and host when the task has begun; return the response at its end."""
    rounds: Any = [("build", {"what": "boat", "seconds": 8})]
    reading = Reading(body={**asking(plan(rounds), tools=[SHOP]), "stream": True})

    async def begun() -> bool | None:
        return (await counted(one))["begun"] == ["boat"] or None

    async with calling(cluster) as caller, books_of(cluster.data) as books:
        following = asyncio.create_task(caller.follow_on(reading))
        await eventually(begun, within_s=60, what="the beginning of the task")
        await asyncio.to_thread(kill_both, cluster)
        async with asyncio.timeout(180):
            await following
        assert_one_stream(reading)
        await books.settled(caller, reading.id)
        return await caller.poll(reading.id)
