"""Do many turns at once, and many clusters side by side, keep out of each other's way?"""

import asyncio
import os
from pathlib import Path

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import books_of, owner_named
from tests.end_to_end.callers import AFRESH, PINNED, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty

CROWD = int(os.environ.get("TEST_CROWD", "30"))
CALLERS = (("alice", "contoso"), ("bob", "contoso"), ("alice", "fabrikam"))


async def test_a_crowd_of_streams_is_answered_exactly(scene: Scene) -> None:
    bodies = [asking(f"COUNT {50 + number}", (PINNED, AFRESH)[number % 2]) for number in range(CROWD)]
    async with asyncio.timeout(90):
        readings = await asyncio.gather(*(scene.caller.follow(body) for body in bodies))
    for number, reading in enumerate(readings):
        await scene.books.assert_exact(reading, counted(50 + number))
        assert reading.breaks == 0
    assert len({reading.id for reading in readings}) == CROWD
    for reading in readings:
        await scene.caller.orchestration_ended(reading.id)
        assert await scene.books.left_open(reading.id) == []


async def test_callers_who_say_the_same_at_once_get_turns_of_their_own(scene: Scene) -> None:
    body = asking("COUNT 25")
    tokens = [scene.cluster.token(user, tenant) for user, tenant in CALLERS]

    async def ask(token: str) -> str:
        async with calling(scene.cluster, token) as caller:
            return (await caller.follow(body)).id

    found = await asyncio.gather(*(ask(token) for token in tokens for _ in range(2)))
    assert len(set(found)) == len(found)
    for number, response_id in enumerate(found):
        having = [each for each in CALLERS if await scene.books.exists(response_id, owner_named(*each))]
        assert having == [CALLERS[number // 2]]


async def test_two_stages_side_by_side_do_not_mix(scene: Scene, tmp_path: Path) -> None:
    async with LocalCluster(hasty(tmp_path)) as other, calling(other) as caller, books_of(other.data) as books:
        bodies = [asking(f"COUNT {30 + number}") for number in range(6)]
        here = asyncio.gather(*(scene.caller.follow(body) for body in bodies))
        there = asyncio.gather(*(caller.follow(body) for body in bodies))
        for number, (mine, theirs) in enumerate(zip(await here, await there, strict=True)):
            await scene.books.assert_exact(mine, counted(30 + number))
            await books.assert_exact(theirs, counted(30 + number))
            assert not await scene.books.exists(theirs.id)
            assert not await books.exists(mine.id)
        calls = [len(await each.model_calls(body)) for each in (scene.caller, caller) for body in bodies]
        assert set(calls) == {1}
        assert (await scene.caller.http.get("/v1/models", headers=bearer(caller.token))).status_code == 401


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
