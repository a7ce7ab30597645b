"""Does the unmodified SDK run a batch from its file to its results, also where processes are killed in the middle?"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types import Batch

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import PINNED, Caller, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.waiting import eventually

type Json = dict[str, Any]


def lines_of(texts: Sequence[str]) -> list[Json]:
    """Return one line of a batch for each input, none of which any other test has."""
    return [
        {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/responses", "body": asking(text, PINNED)}
        for number, text in enumerate(texts)
    ]


async def start_batch(sdk: AsyncOpenAI, lines: Sequence[Json]) -> Batch:
    content = "".join(f"{json.dumps(each)}\n" for each in lines).encode()
    uploaded = await sdk.files.create(file=("in.jsonl", content), purpose="batch")
    return await sdk.batches.create(
        input_file_id=uploaded.id, endpoint="/v1/responses", completion_window="24h", metadata={"of": "a test"}
    )


async def ended(sdk: AsyncOpenAI, batch: Batch) -> Batch:
    """Return a batch once it has ended; a host that is killed meanwhile does not answer."""

    async def look() -> Batch | None:
        found = await sdk.batches.retrieve(batch.id)
        return found if found.status in {"completed", "failed", "expired", "cancelled"} else None

    return await eventually(look, what=f"the end of {batch.id}")


async def rows_of(sdk: AsyncOpenAI, file_id: str | None) -> list[Json]:
    content = await sdk.files.content(file_id or "")
    return [json.loads(each) for each in content.text.splitlines()]


async def test_the_sdk_runs_a_batch_and_reads_its_results(scene: Scene) -> None:
    sdk = scene.caller.sdk(max_retries=20)
    lines = lines_of([f"COUNT {number}" for number in range(1, 6)])
    batch = await start_batch(sdk, lines)
    done = await ended(sdk, batch)
    assert (done.status, done.request_counts and done.request_counts.completed) == ("completed", 5)
    found = {each["custom_id"]: each for each in await rows_of(sdk, done.output_file_id)}
    assert [texts(found[f"line-{number}"]) for number in range(5)] == [counted(number) for number in range(1, 6)]
    for each in found.values():
        assert await scene.books.left_open(each["response"]["body"]["id"]) == []
    assert batch.id in [each.id async for each in sdk.batches.list(limit=1)]
    assert done.output_file_id in [each.id async for each in sdk.files.list(limit=1)]
    assert (await sdk.batches.cancel(batch.id)).status == "completed"


async def test_a_batch_that_is_cancelled_keeps_what_has_ended(scene: Scene) -> None:
    sdk = scene.caller.sdk(max_retries=20)
    batch = await start_batch(sdk, lines_of(["COUNT 3", *["COUNT 3000"] * 3]))

    async def has_an_answer() -> bool | None:
        found = await sdk.batches.retrieve(batch.id)
        return bool(found.request_counts and found.request_counts.completed) or None

    await eventually(has_an_answer, what="the first answer")
    assert (await sdk.batches.cancel(batch.id)).status == "cancelling"
    done = await ended(sdk, batch)
    assert done.status == "cancelled"
    assert [texts(each) for each in await rows_of(sdk, done.output_file_id)] == [counted(3)]


def texts(row: Json) -> str:
    return "".join(part["text"] for item in row["response"]["body"]["output"] for part in item["content"])


@pytest.fixture(scope="module")
def mortal_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(hasty(tmp_path_factory.mktemp("batches"))) as cluster:
        yield cluster


@pytest.mark.campaign
async def test_every_line_is_answered_once_where_worker_and_host_are_killed(mortal_cluster: LocalCluster) -> None:
    async with calling(mortal_cluster) as caller, books_of(mortal_cluster.data) as books:
        sdk, lines = caller.sdk(max_retries=20), lines_of(["COUNT 150"] * 24)
        batch = await start_batch(sdk, lines)
        await running(caller, lines)
        await asyncio.to_thread(lambda: mortal_cluster.wait_worker(other_than=mortal_cluster.kill_worker()))
        await asyncio.to_thread(mortal_cluster.kill_host)
        await asyncio.to_thread(mortal_cluster.restart_host)
        done = await ended(sdk, batch)
        found = await rows_of(sdk, done.output_file_id)
        assert [each["custom_id"] for each in found] == [each["custom_id"] for each in lines]
        assert {texts(each) for each in found} == {counted(150)}
        assert done.error_file_id is None
        for each in found:
            assert await books.left_open(each["response"]["body"]["id"]) == []
        await books.quiet(caller)
        for each in lines:
            assert len(await books.responses(each["body"])) == 1


async def running(caller: Caller, lines: Sequence[Json]) -> None:
    """Return when the model has been asked for some of the lines, and not for all."""

    async def asked() -> bool | None:
        return bool(await caller.model_calls(lines[2]["body"])) or None

    await eventually(asked, what="a call of the model")
