"""Are the images in the result of a tool shown to the model, in both APIs?"""

from typing import Any

import openai
import pytest

from clients.backends.chat_request import native_messages, schema_messages
from domain.content.items import ImageInput, Item, ItemKind, Role
from tests.api.abilities.test_images import URL, with_vision
from tests.api.harness import api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, says

IMAGE: Any = {"type": "input_image", "image_url": URL, "detail": "original"}
CALL: Any = {"type": "function_call", "call_id": "c1", "name": "view_image", "arguments": "{}"}
QUESTION: Any = {"role": "user", "content": "What do you see?"}


def output(*parts: Any, call_id: str = "c1") -> Any:
    return {"type": "function_call_output", "call_id": call_id, "output": list(parts)}


OUTPUTS: dict[str, tuple[Any, str, int]] = {
    "an image alone": (output(IMAGE), "The result is in the images below.", 1),
    "text and an image": (output({"type": "input_text", "text": "a cat"}, IMAGE), "a cat", 1),
    "two images without detail": (output(*[{"type": "input_image", "image_url": URL}] * 2), "", 2),
}


@pytest.mark.parametrize(("result", "text", "images"), OUTPUTS.values(), ids=OUTPUTS)
async def test_the_model_sees_the_images_behind_the_tools_message(result: Any, text: str, images: int) -> None:
    fake = FakeBackend(says("a cat"))
    async with sdk(with_vision(fake)) as client:
        made = await client.responses.create(model="auto", input=[QUESTION, CALL, result])
        items = [item.to_dict() async for item in client.responses.input_items.list(made.id, order="asc")]
    assert made.output_text == "a cat"
    tool, shown = list(native_messages(fake.calls[0].items))[-2:]
    assert (tool["role"], shown["role"]) == ("tool", "user")
    assert text in tool["content"]
    urls = [part["image_url"] for part in shown["content"] if part["type"] == "image_url"]
    assert [each["url"] for each in urls] == [URL] * images
    assert {each["detail"] for each in urls} <= {"auto", "high"}
    assert [part["type"] for part in items[2]["output"]] == [part["type"] for part in result["output"]]  # type: ignore[index] - JSON


async def test_a_chat_shows_the_images_of_a_tool() -> None:
    fake = FakeBackend(says("a cat"))
    call = {"id": "c1", "type": "function", "function": {"name": "view_image", "arguments": "{}"}}
    parts = [{"type": "text", "text": "seen"}, {"type": "image_url", "image_url": {"url": URL}}]
    messages: Any = [
        QUESTION,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": parts},
    ]
    async with sdk(with_vision(fake)) as client:
        await client.chat.completions.create(model="auto", messages=messages)
    tool, shown = list(native_messages(fake.calls[0].items))[-2:]
    assert tool == {"role": "tool", "tool_call_id": "c1", "content": "seen"}
    assert shown["content"][-1]["image_url"]["url"] == URL


async def test_they_are_rejected_where_no_model_sees() -> None:
    async with sdk(api()) as client:
        with pytest.raises(openai.BadRequestError, match="needs vision"):
            await client.responses.create(model="auto", input=[QUESTION, CALL, output(IMAGE)])


async def test_something_else_in_an_output_is_rejected_by_its_place() -> None:
    answer = await api().create({"input": [QUESTION, CALL, output({"type": "input_video", "url": "x"})]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[2].output[0].type")


def result(call_id: str, *, image: bool) -> Item:
    images = (ImageInput(url=URL),) if image else ()
    return Item(id="", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="r", call_id=call_id, images=images)


def test_the_images_of_parallel_calls_follow_all_of_their_results() -> None:
    calls = [Item(id="", kind=ItemKind.FUNCTION_CALL, name="f", call_id=name, text="{}") for name in ("a", "b")]
    items = [*calls, result("a", image=True), result("b", image=False), Item(id="", text="ok")]
    messages = list(native_messages(items))
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user", "assistant"]
    assert "call a" in messages[3]["content"][0]["text"]


def test_a_model_held_to_a_schema_sees_them_too() -> None:
    (message,) = schema_messages([result("a", image=True)])
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
