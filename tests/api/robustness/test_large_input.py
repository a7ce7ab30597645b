"""Are bodies of many megabytes and many items taken, and bounded all the same?"""

import asyncio
import base64
import json
import time
import tracemalloc
from collections.abc import AsyncIterator
from copy import replace
from typing import Any

import pytest

from domain.content.capabilities import Capability
from tests.api.harness import Api, api, with_vision
from tests.fakes.backends import FakeBackend, says

IMAGE = "data:image/png;base64," + "A" * 3_000_000


def message(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def test_an_image_of_three_megabytes_reaches_the_model_and_is_read_back() -> None:
    fake = FakeBackend(says("a cat"))
    one = with_vision(fake)
    part = {"type": "input_image", "image_url": IMAGE}
    answer = (await one.create({"model": "auto", "input": [message([part])]})).json()
    assert answer["status"] == "completed"
    assert fake.calls[0].items[0].images[0].url == IMAGE
    read = (await one.http.get(f"/v1/responses/{answer['id']}/input_items")).json()
    assert read["data"][0]["content"][0]["image_url"] == IMAGE
    await one.http.delete(f"/v1/responses/{answer['id']}")
    assert "item_part" not in await one.stored()


async def test_items_of_a_conversation_may_be_large() -> None:
    one = api()
    items = [message("x" * 1_500_000) for _ in range(3)]
    made = (await one.http.post("/v1/conversations", json={"items": items})).json()
    listed = (await one.http.get(f"/v1/conversations/{made['id']}/items")).json()
    assert [len(item["content"][0]["text"]) for item in listed["data"]] == [1_500_000] * 3


async def test_other_bodies_keep_their_limit() -> None:
    one = api()
    made = (await one.http.post("/v1/conversations", json={})).json()
    body: dict[str, Any] = {"metadata": {}, "unknown": "x" * 300_000}
    assert (await one.http.post(f"/v1/conversations/{made['id']}", json=body)).status_code == 413


async def test_bodies_beyond_the_memory_are_503_until_others_are_read() -> None:
    one = api(input_memory=1_000_000)
    sent, arrived = asyncio.Event(), asyncio.Event()
    body = json.dumps({"model": "auto", "input": "hi", "padding": "x" * 700_000}).encode()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:600_000]
        arrived.set()
        await sent.wait()
        yield body[600_000:]

    first = asyncio.create_task(one.http.post("/v1/responses", content=slowly()))
    await arrived.wait()
    refused = await one.http.post("/v1/responses", content=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    sent.set()
    assert (await first).status_code == 200
    assert (await one.http.post("/v1/responses", content=body)).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("count", [10_000])
async def test_many_items_are_admitted_in_the_time_per_item_of_few(count: int) -> None:
    one = api()
    backend = one.world.fleet.backends["main"]
    limits = replace(backend.limits, context_tokens=10**6)
    one.world.fleet.backends["main"] = replace(backend, limits=limits)  # type: ignore[index]
    model = replace(one.world.fleet.models["model"], context_tokens=10**6)
    one.world.fleet.models["model"] = model  # type: ignore[index]
    one.orchestrations.hold = True
    await seconds_per_item(one, 500)
    few = min([await seconds_per_item(one, 500) for _ in range(3)])
    many = min([await seconds_per_item(one, count) for _ in range(3)])
    assert many <= 1.5 * few


async def seconds_per_item(one: Api, count: int) -> float:
    """Return the processor time of admitting a turn with so many items."""
    body = json.dumps({"model": "auto", "background": True, "input": [message(f"item {n}") for n in range(count)]})
    started = time.process_time()
    answer = await one.http.post("/v1/responses", content=body)
    assert answer.status_code == 200, answer.text
    return (time.process_time() - started) / count


IMAGE_BYTES = 1_000_000
IMAGE_MEMORY = 5_000_000
"""What an image may take beside the bytes of the body that brings it."""


async def test_an_image_of_a_megabyte_takes_little_more_memory_than_its_size() -> None:
    one = api()
    model = replace(one.world.fleet.models["model"], capabilities=frozenset({Capability.VISION}))
    one.world.fleet.models["model"] = replace(model, context_tokens=10**5)  # type: ignore[index]
    for name, each in one.world.fleet.backends.items():
        one.world.fleet.backends[name] = replace(each, limits=replace(each.limits, context_tokens=10**5))  # type: ignore[index]
    url = "data:image/png;base64," + base64.b64encode(bytes(IMAGE_BYTES)).decode()
    content = [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": url}]
    body = json.dumps({"model": "auto", "input": [{"role": "user", "content": content}]}).encode()
    assert (await one.http.post("/v1/responses", content=body)).status_code == 200
    assert min([await peak_of(one, body) for _ in range(3)]) <= len(body) + IMAGE_MEMORY


async def peak_of(one: Api, body: bytes) -> int:
    """Return the most memory that a turn takes; a thread that imports something meanwhile counts, too."""
    tracemalloc.start()
    answer = await one.http.post("/v1/responses", content=body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.json()["status"] == "completed"
    return peak
