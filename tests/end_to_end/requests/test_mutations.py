"""Does any body, however wrong, break the whole product behind its socket?"""

import asyncio
import os
from random import Random

import httpx
import pytest

from tests.api.robustness.mutations import VALID_BODIES, random_body
from tests.end_to_end.callers import Caller
from tests.end_to_end.conftest import Scene

BODIES = 3 * int(os.environ.get("TEST_KILLS", "20"))
"""Bodies for each path."""

ABREAST = 4


async def tried(caller: Caller, path: str, body: bytes) -> httpx.Response:
    conversation = (await caller.http.post("/v1/conversations", json={})).json()["id"] if "{" in path else ""
    headers = {"content-type": "application/json"}
    return await caller.http.post(path.format(conversation=conversation), content=body, headers=headers)


@pytest.mark.campaign
@pytest.mark.parametrize("path", VALID_BODIES)
async def test_no_body_breaks_the_product(scene: Scene, random: Random, path: str) -> None:
    bodies = [random_body(random, VALID_BODIES[path]) for _ in range(BODIES)]
    room = asyncio.Semaphore(ABREAST)

    async def judged(body: bytes) -> None:
        async with room:
            answer = await tried(scene.caller, path, body)
        assert answer.status_code < 500, (path, body, answer.text)
        assert answer.headers["x-request-id"]

    async with asyncio.TaskGroup() as group:
        for body in bodies:
            group.create_task(judged(body))
