"""Are predictions written to their end, read and cancelled by the holder of the token alone?"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from standins.systems.identities import SECRET
from tests.standins.systems.serving import served_systems

ROOT = "/v1/systems/replicate/v1"
OWN = {"authorization": f"Bearer {SECRET}"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with served_systems(rate=50) as served, aiohttp.ClientSession(served.origin, headers=OWN) as session:
        yield session


async def created(http: aiohttp.ClientSession, prompt: str) -> str:
    async with http.post(f"{ROOT}/models/o/n/predictions", json={"input": {"prompt": prompt}}) as answer:
        assert answer.status == 201
        return (await answer.json())["id"]


async def prediction(http: aiohttp.ClientSession, identifier: str) -> Any:
    async with http.get(f"{ROOT}/predictions/{identifier}") as answer:
        return await answer.json()


async def ended(http: aiohttp.ClientSession, identifier: str) -> Any:
    async with asyncio.timeout(10):
        while (found := await prediction(http, identifier))["status"] in {"starting", "processing"}:  # noqa: ASYNC110 - the stand-in has the state
            await asyncio.sleep(0.01)
        return found


async def test_a_prediction_is_written_to_its_end(http: aiohttp.ClientSession) -> None:
    found = await ended(http, await created(http, "COUNT 3"))
    assert (found["status"], "".join(found["output"]), found["metrics"]["output_token_count"]) == (
        "succeeded",
        "1 2 3",
        3,
    )


async def test_a_prediction_is_cancelled_where_it_is(http: aiohttp.ClientSession) -> None:
    identifier = await created(http, "COUNT 500")
    async with http.post(f"{ROOT}/predictions/{identifier}/cancel") as answer:
        assert (answer.status, (await answer.json())["status"]) == (200, "canceled")
    assert (await prediction(http, identifier))["status"] == "canceled"


async def test_a_model_that_refuses_fails_its_prediction(http: aiohttp.ClientSession) -> None:
    found = await ended(http, await created(http, "FAIL 500"))
    assert found["status"] == "failed"
    assert "500" in found["error"]
    async with http.post(f"{ROOT}/models/o/n/predictions", json={"input": {"prompt": "FAIL 429"}}) as answer:
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")


@pytest.mark.parametrize(("method", "verb"), [("GET", ""), ("POST", "/cancel")])
async def test_an_unknown_prediction_and_a_caller_without_the_token_are_refused(
    http: aiohttp.ClientSession, method: str, verb: str
) -> None:
    async with http.request(method, f"{ROOT}/predictions/nothing{verb}") as answer:
        assert (answer.status, await answer.json()) == (404, {"detail": "The requested resource could not be found."})
    identifier = await created(http, "COUNT 500")
    async with http.request(
        method, f"{ROOT}/predictions/{identifier}{verb}", headers={"authorization": "no"}
    ) as answer:
        assert answer.status == 401
    assert (await prediction(http, identifier))["status"] in {"starting", "processing"}
