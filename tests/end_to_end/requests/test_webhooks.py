"""Is every end of a turn told to a real receiver, as the official SDK takes it, whatever is killed on the way?"""

import asyncio
import base64
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openai import OpenAI

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.callers import PINNED, Caller, Reading, asking, calling
from tests.end_to_end.conftest import hasty
from tests.end_to_end.waiting import eventually

WRITTEN = f"whsec_{base64.b64encode(b's' * 32).decode()}"
TOLD_S = 60
TURNS = 12
KILLS = 4


@dataclass(slots=True)
class Receiver:
    """Refuses the first `refusals` messages; of the rest it remembers types and ids, by the response."""

    refusals: int = 0
    told: defaultdict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = OpenAI(api_key="none", webhook_secret=WRITTEN).webhooks.unwrap(body, dict(request.headers))
        assert event.type.startswith("response.")
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503)
        self.told[getattr(event.data, "id", "")].append((event.type, request.headers["webhook-id"]))
        return web.Response(status=204)

    async def hears(self, response_id: str) -> tuple[str, str]:
        async def look() -> tuple[str, str] | None:
            return self.told[response_id][0] if self.told[response_id] else None

        return await eventually(look, within_s=TOLD_S, what=f"the end of {response_id}")


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def told_cluster(receiver: Receiver, tmp_path: Path) -> AsyncIterator[LocalCluster]:
    application = web.Application()
    application.router.add_post("/hooks", receiver.take)
    async with TestServer(application) as server:
        options = hasty(
            tmp_path,
            GANGLION_WEBHOOK_URL=str(server.make_url("/hooks")),
            GANGLION_WEBHOOK_SECRET=WRITTEN,
            GANGLION_WEBHOOKS_LOOPBACK="true",
            GANGLION_SYNC_WAIT_S="1",
        )
        async with LocalCluster(options) as cluster:
            yield cluster


@pytest.fixture
async def caller(told_cluster: LocalCluster) -> AsyncIterator[Caller]:
    async with calling(told_cluster) as caller:
        yield caller


async def cancelled(caller: Caller) -> str:
    reading = Reading(body={**asking("COUNT 5000"), "stream": True, "background": True})
    await caller.follow_on(reading, until=5)
    assert (await caller.cancel(reading.id)).status_code == 200
    return reading.id


async def outlasting(caller: Caller) -> str:
    """Ask without stream or background for more than a call is held."""
    answer = await caller.create(asking("COUNT 300"))
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress"), answer.text
    return answer.json()["id"]


async def asked(caller: Caller, text: str, **more: object) -> str:
    answer = await caller.create(asking(text, PINNED, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def test_each_end_is_delivered_once_and_a_rejected_delivery_is_repeated(
    receiver: Receiver, caller: Caller
) -> None:
    receiver.refusals = 1
    ends = {
        await asked(caller, "COUNT 3"): "response.completed",
        await asked(caller, "COUNT 300", max_output_tokens=16): "response.incomplete",
        await asked(caller, "FAIL hang-before", metadata={"deadline_ms": "1"}): "response.failed",
        await cancelled(caller): "response.cancelled",
        await outlasting(caller): "response.completed",
    }
    for response_id, kind in ends.items():
        assert (await receiver.hears(response_id))[0] == kind
        assert f"response.{(await caller.poll(response_id))['status']}" == kind
    assert {name: len(told) for name, told in receiver.told.items()} == dict.fromkeys(ends, 1)
    history = await caller.http.get(
        f"/runtime/webhooks/durabletask/instances/{next(iter(ends))}", params={"showHistory": "true"}
    )
    assert "announce" not in history.text


@pytest.mark.campaign
async def test_every_end_is_delivered_although_host_and_worker_are_killed(
    receiver: Receiver, told_cluster: LocalCluster, caller: Caller, random: Random
) -> None:
    receiver.refusals = 3
    names: list[str] = []
    for _ in range(KILLS):
        asking_for = [asyncio.create_task(told_turn(caller, length=random.randrange(1, 60))) for _ in range(TURNS)]
        await asyncio.sleep(random.uniform(0.2, 1.5))
        await asyncio.to_thread(told_cluster.kill_host_and_worker)
        await asyncio.to_thread(told_cluster.restart_host)
        names += await asyncio.gather(*asking_for)
    await caller.sweep()
    for name in names:
        assert (await receiver.hears(name))[0] == "response.completed"
        assert len({identifier for _, identifier in receiver.told[name]}) == 1


async def told_turn(caller: Caller, *, length: int) -> str:
    return (await caller.follow(asking(f"COUNT {length}", background=True))).id
