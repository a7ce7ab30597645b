"""Are images sent to models with vision only?"""

from copy import replace
from typing import Any

import openai
import pytest

from clients.backends.chat_request import native_messages
from clients.backends.port import BackendCall
from domain.content.capabilities import Capability
from domain.content.items import ImageInput, Item
from domain.fleet.catalog import ImageMode
from tests.api.harness import api, with_vision
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


async def test_a_token_count_has_the_tokens_of_images() -> None:
    async with sdk(api()) as client:
        shown = (await client.responses.input_tokens.count(model="auto", input=WITH_IMAGE)).input_tokens
        without: Any = [{"role": "user", "content": "what is this?"}]
        plain = (await client.responses.input_tokens.count(model="auto", input=without)).input_tokens
    assert shown > plain + 200


HTTPS = "https://example.com/cat.png"


def by_address(url: str) -> list[tuple[str, dict[str, Any], str]]:
    """Return requests with an image by address: the path, the body, and the place of the image in it."""
    part = {"type": "input_image", "image_url": url}
    text = {"type": "input_text", "text": "see"}
    output = {"type": "function_call_output", "call_id": "c", "output": [text, part]}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    chat = {
        "role": "user",
        "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}],
    }
    return [
        (
            "/v1/responses",
            {"model": "auto", "input": [{"role": "user", "content": [text, part]}]},
            "input[0].content[1].image_url",
        ),
        ("/v1/responses", {"model": "auto", "input": [call, output]}, "input[1].output[1].image_url"),
        (
            "/v1/chat/completions",
            {"model": "auto", "messages": [{"role": "system", "content": "x"}, chat]},
            "messages[1].content[1].image_url.url",
        ),
    ]


@pytest.mark.parametrize("number", range(3))
async def test_an_address_that_no_backend_takes_is_refused_by_name(number: int) -> None:
    path, body, place = by_address(HTTPS)[number]
    answer = await with_vision(FakeBackend(says("a cat"))).http.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_value", place)
    assert "data:image/png" in error["message"]


@pytest.mark.parametrize("number", range(3))
async def test_a_private_address_is_refused_by_name(number: int) -> None:
    path, body, place = by_address("https://[::ffff:169.254.169.254]/")[number]
    answer = await with_vision(FakeBackend(says("a cat"))).http.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", place)


async def test_a_turn_with_an_address_goes_to_a_backend_that_takes_it() -> None:
    main, spare = FakeBackend(says("no")), FakeBackend(says("a cat"))
    one = api(main, spare)
    fleet = one.world.fleet
    fleet.models["model"] = replace(fleet.models["model"], capabilities=frozenset({Capability.VISION}))  # type: ignore[index]
    fleet.backends["spare"] = replace(fleet.backends["spare"], images=ImageMode.FETCH)  # type: ignore[index]
    path, body, _ = by_address(HTTPS)[0]
    answer = await one.http.post(path, json=body)
    assert answer.json()["status"] == "completed"
    assert (len(main.calls), len(spare.calls)) == (0, 1)
    route = (await one.http.get(f"/v1/responses/{answer.json()['id']}/route")).json()
    assert "takes them as data" in str(route)


def test_an_item_with_images_round_trips_through_its_document() -> None:
    item = Item(id="msg_1", text="ab", images=(ImageInput(url=URL, at=1), ImageInput(url=URL, detail="high", at=2)))
    assert Item.from_document("msg_1", item.to_document()) == item
    assert [part if isinstance(part, str) else part.detail for part in item.parts()] == ["a", "auto", "b", "high"]


UNREADABLE = {
    "plain http": ("http://example.com/a.png", "an https address"),
    "no image": ("data:text/plain;base64,AAAA", "a data URL in base64"),
    "no address": ("cat.png", "a data URL in base64"),
    "data that is no base64": ("data:image/svg+xml;utf8,<svg/>", "in base64"),
    "data without a coding": ("data:image/png,AAAA", "in base64"),
    "nothing after the type": ("data:image/png", "in base64"),
}


@pytest.mark.parametrize(("url", "expected"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("number", range(3))
async def test_an_image_that_nothing_reads_is_refused_by_name(number: int, url: str, expected: str) -> None:
    path, body, place = by_address(url)[number]
    error = (await with_vision(FakeBackend(says("a cat"))).http.post(path, json=body)).json()["error"]
    assert (error["param"], error["code"]) == (place, "invalid_value")
    assert expected in error["message"]


async def test_the_data_of_an_image_may_name_its_character_set() -> None:
    fake = FakeBackend(says("a cat"))
    path, body, _ = by_address("data:image/svg+xml;charset=utf-8;base64,PHN2Zy8+")[0]
    assert (await with_vision(fake).http.post(path, json=body)).status_code == 200
