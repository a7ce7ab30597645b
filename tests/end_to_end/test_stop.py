"""Do a running turn and a new one in its conversation behave as the caller asks, through the whole product?"""

import gzip
import json

import httpx
import pytest
from openai import AsyncOpenAI

from tests.end_to_end.callers import PINNED
from tests.end_to_end.conftest import Scene
from tests.end_to_end.waiting import eventually

LONG = 400
SHORT = 60
ENDED = ("completed", "incomplete", "cancelled", "failed")


async def status_of(sdk: AsyncOpenAI, name: str) -> str | None:
    status = (await sdk.responses.retrieve(name)).status
    return status if status in ENDED else None


async def test_a_turn_waits_in_line_on_durable_timers(scene: Scene) -> None:
    async with scene.caller.sdk(max_retries=0) as sdk:
        conversation = (await sdk.conversations.create()).id
        first = await sdk.responses.create(
            model=PINNED, input=f"COUNT {SHORT}", conversation=conversation, background=True
        )
        second = await sdk.responses.create(
            model=PINNED, input="RECALL", conversation=conversation, metadata={"on_running": "queue"}
        )
        assert second.status == "completed"
        assert second.output_text == f"COUNT {SHORT}"
        assert await status_of(sdk, first.id) == "completed"


async def test_a_turn_interrupts_a_foreground_stream_and_goes_on_at_once(scene: Scene) -> None:
    async with scene.caller.sdk(max_retries=0) as sdk:
        conversation = (await sdk.conversations.create()).id
        stream = await sdk.responses.create(
            model=PINNED, input=f"COUNT {LONG}", conversation=conversation, stream=True, max_output_tokens=LONG
        )
        second = None
        last = ""
        async for event in stream:
            last = event.type
            if event.type == "response.output_text.delta" and second is None:
                second = await sdk.responses.create(
                    model=PINNED, input="ECHO now", conversation=conversation, metadata={"on_running": "cancel"}
                )
        assert second is not None
        assert (second.status, second.output_text) == ("completed", "now")
        assert last == "response.failed"


async def test_hanging_up_cancels_where_the_caller_asked_for_it(scene: Scene) -> None:
    async with scene.caller.sdk(max_retries=0) as sdk:
        stream = await sdk.responses.create(
            model=PINNED,
            input=f"COUNT {LONG}",
            stream=True,
            max_output_tokens=LONG,
            metadata={"on_disconnect": "cancel"},
        )
        name = ""
        async for event in stream:
            if event.type == "response.created":
                name = event.response.id
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        status = await eventually(lambda: status_of(sdk, name), what="the end of the turn")
        assert status == "cancelled"


@pytest.mark.parametrize("text", ["ECHO a", "ECHO " + "b" * 5000], ids=["longer when packed", "shorter when packed"])
async def test_a_packed_body_is_read_through_the_host(scene: Scene, text: str) -> None:
    body = json.dumps({"model": PINNED, "input": text}).encode()
    headers = {
        "authorization": f"Bearer {scene.cluster.token()}",
        "content-type": "application/json",
        "content-encoding": "gzip",
    }
    async with httpx.AsyncClient(base_url=scene.cluster.base_url, headers=headers, timeout=30) as client:
        answer = await client.post("/v1/responses", content=gzip.compress(body))
    assert answer.json()["output"][0]["content"][0]["text"] == text.removeprefix("ECHO ")
