"""Are images sent to models with vision only?"""

from dataclasses import replace
from typing import Any

import openai
import pytest

from clients.backends.chat_request import native_messages
from clients.backends.port import BackendCall
from domain.content.capabilities import Capability
from domain.content.items import ImageInput, Item
from tests.api.harness import Api, api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, says

URL = "data:image/png;base64,AAAA"
WITH_IMAGE: Any = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "what is "},
            {"type": "input_image", "image_url": URL, "detail": "low"},
            {"type": "input_text", "text": "this?"},
        ],
    }
]
CHAT: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}]


def with_vision(fake: FakeBackend) -> Api:
    one = api(fake)
    model = replace(one.world.fleet.models["model"], capabilities=frozenset({Capability.VISION}))
    one.world.fleet.models["model"] = model  # type: ignore[index]
    return one


def contents_of(call: BackendCall) -> list[Any]:
    return [message["content"] for message in native_messages(call.items)]


async def test_images_keep_their_position_in_the_text() -> None:
    fake = FakeBackend(says("a cat"))
    async with sdk(with_vision(fake)) as client:
        made = await client.responses.create(model="auto", input=WITH_IMAGE)
        items: Any = [item async for item in client.responses.input_items.list(made.id)]
    parts = contents_of(fake.calls[0])[0]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    assert parts[1]["image_url"] == {"url": URL, "detail": "low"}
    assert [part.type for part in items[0].content] == ["input_text", "input_image", "input_text"]


async def test_a_chat_sends_images() -> None:
    fake = FakeBackend(says("a cat"))
    async with sdk(with_vision(fake)) as client:
        await client.chat.completions.create(model="auto", messages=CHAT)
    assert contents_of(fake.calls[0])[0][0]["image_url"]["url"] == URL


async def test_images_are_rejected_where_no_model_has_vision() -> None:
    async with sdk(api()) as client:
        with pytest.raises(openai.BadRequestError, match="needs vision"):
            await client.responses.create(model="auto", input=WITH_IMAGE)
        with pytest.raises(openai.BadRequestError, match="needs vision"):
            await client.chat.completions.create(model="auto", messages=CHAT)


async def test_a_url_that_is_not_an_image_url_is_rejected() -> None:
    given = [{"role": "user", "content": [{"type": "input_image", "image_url": "file:///etc/passwd"}]}]
    answer = await api().create({"model": "auto", "input": given})
    assert answer.json()["error"]["param"] == "input[0].content[0].image_url"


def test_an_item_with_images_round_trips_through_its_document() -> None:
    item = Item(id="msg_1", text="ab", images=(ImageInput(url=URL, at=1), ImageInput(url=URL, detail="high", at=2)))
    assert Item.from_document("msg_1", item.to_document()) == item
    assert [part if isinstance(part, str) else part.detail for part in item.parts()] == ["a", "auto", "b", "high"]
