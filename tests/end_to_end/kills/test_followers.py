"""Do turns that ask the same at once share one call, word by word, also through kills with -9?"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from random import Random
from typing import Any

import pytest
from openai import AsyncStream
from openai.types.responses import ResponseStreamEvent

from standins.cluster.local_cluster import LocalCluster
from tests.checks import every
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.kills.test_every_event import kill_model
from tests.end_to_end.kills.test_survival import kill_host, kill_worker
from tests.end_to_end.views import assert_equals_log, assert_one_stream, assert_views_agree
from tests.end_to_end.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.campaign]

WORDS_S = 20.0
"""So slow that each word is a slot, and each slot's text one event."""

WORDS = 24
EVENTS = WORDS + 8
FOLLOWED_S = 120
ENDLESS = "COUNT 5000"
CACHED: dict[str, Any] = {"temperature": 0, "metadata": {"cache_s": "3600"}}
KILLS = {"worker": kill_worker, "host": kill_host, "backend": partial(kill_model, name="scripted")}


@pytest.fixture(scope="module")
def caching_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(hasty(tmp_path_factory.mktemp("cached"), rate=WORDS_S, GANGLION_CACHE_S="3600")) as cluster:
        yield cluster


@pytest.fixture
async def caching(caching_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(caching_cluster) as caller, books_of(caching_cluster.data) as books:
        await books.forget_backend_states()
        yield Scene(cluster=caching_cluster, caller=caller, books=books)


@pytest.mark.parametrize("victim", KILLS)
async def test_followers_and_the_turn_that_asks_survive_a_kill_behind_any_event(
    caching: Scene, victim: str, random: Random
) -> None:
    body = {**asking(f"COUNT {WORDS}"), **CACHED, "stream": True}
    first, *others = readings = [Reading(body=body) for _ in range(3)]
    async with asyncio.timeout(FOLLOWED_S):
        await caching.caller.follow_on(first, until=2)
        await asyncio.gather(*(caching.caller.follow_on(each, until=random.randrange(2, EVENTS)) for each in others))
        await asyncio.to_thread(KILLS[victim], caching.cluster)
        await asyncio.gather(*(caching.caller.follow_on(each) for each in readings))
    assert len({each.id for each in readings}) == len(readings)
    for each in readings:
        assert_one_stream(each)
        assert (each.types[-1], each.text) == ("response.completed", counted(WORDS))
        await assert_views_agree(caching.caller, each, 0, random.randrange(len(each.events)))
        assert await assert_equals_log(caching.books, each) == [counted(WORDS)]
        await caching.books.settled(caching.caller, each.id)
    reports = [await caching.caller.report(each.id) for each in readings]
    assert [each["cache"]["response_id"] for each in reports] == [None, first.id, first.id]
    assert [bool(each["attempts"]) for each in reports] == [True, False, False]
    assert every(each.response["usage"]["input_tokens_details"]["cached_tokens"] for each in others)


async def test_the_sdk_streams_a_follower_while_the_first_turn_still_speaks(caching: Scene) -> None:
    body: dict[str, Any] = {**asking(ENDLESS), **CACHED}
    async with caching.caller.sdk(max_retries=0) as sdk:
        first: AsyncStream[ResponseStreamEvent] = await sdk.responses.create(**body, stream=True)
        first_id, begun = await up_to_text(first)
        other: AsyncStream[ResponseStreamEvent] = await sdk.responses.create(**body, stream=True)
        other_id, followed = await up_to_text(other)
        assert other.response.headers["x-ganglion-cache"] == "hit"
        assert (await sdk.responses.retrieve(first_id)).status == "in_progress"
        assert (first_id != other_id, begun[:1], followed[:1]) == (True, "1", "1")
        assert (await caching.caller.report(other_id))["attempts"] == []
        await sdk.responses.cancel(first_id)
        await eventually(partial(attempts_of, caching, other_id), what="the call of the turn that takes over")
        numbers = [event.sequence_number async for event in other if await asked_to_end(sdk, other_id, event)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(await caching.caller.model_calls(body)) == 2


async def attempts_of(scene: Scene, response_id: str) -> Any:
    return (await scene.caller.report(response_id))["attempts"] or None


async def asked_to_end(sdk: Any, response_id: str, event: ResponseStreamEvent) -> bool:
    """Cancel a turn at its next text; return True for each of its events."""
    if event.type == "response.output_text.delta":
        await sdk.responses.cancel(response_id)
    return True


async def up_to_text(stream: AsyncStream[ResponseStreamEvent]) -> tuple[str, str]:
    """Read a stream up to its first text; return the response's id and the text."""
    found = ""
    async for event in stream:
        if event.type == "response.created":
            found = event.response.id
        if event.type == "response.output_text.delta":
            return found, event.delta
    raise AssertionError("the stream has ended without a text")
