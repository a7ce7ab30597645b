"""Does the official SDK see reasoning and refusals where they belong, and do later turns keep them?"""

from typing import Any, cast

import openai
import pytest

from clients.backends.port import AnswerEnd, Channel, TextPiece
from domain.content.capabilities import Capability
from domain.content.items import Item, ItemKind
from domain.log.events import TokenUsage
from tests.api.abilities.test_tools import NATIVE, WEATHER, able
from tests.api.harness import Api, api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend

pytestmark = pytest.mark.slow

END = AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=10, output_tokens=5, reasoning_tokens=3))
THOUGHT = [TextPiece(text=text, channel=Channel.REASONING) for text in ("I think", " hard.")]
REASONED = [*THOUGHT, TextPiece(text="Forty-"), TextPiece(text="two."), END]
REFUSED = [TextPiece(text=text, channel=Channel.REFUSAL) for text in ("I can't help", " with that.")]
PACKED: Any = ["reasoning.encrypted_content"]

REASONING_EVENTS = [
    "response.output_item.added",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.reasoning_summary_part.done",
    "response.output_item.done",
]
TEXT_EVENTS = [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
REFUSAL_EVENTS = [
    "response.output_item.added",
    "response.content_part.added",
    "response.refusal.delta",
    "response.refusal.done",
    "response.content_part.done",
    "response.output_item.done",
]


def saying(*script: Any) -> Api:
    return api(FakeBackend(list(script)))


def types_of(events: list[Any]) -> list[str]:
    """Return the types of the events between the beginning and the end, of deltas only the first."""
    types = [event.type for event in events[2:-1]]
    return [kind for at, kind in enumerate(types) if not (kind.endswith(".delta") and types[at - 1] == kind)]


def sent_items(one: Api, at: int = -1) -> list[Item]:
    _, fake = one.world.backends["main"]
    assert isinstance(fake, FakeBackend)
    return list(fake.calls[at].items)


async def test_reasoning_is_an_item_before_the_message() -> None:
    async with sdk(saying(*REASONED)) as client:
        made = await client.responses.create(model="auto", input="hi")
        assert await client.responses.retrieve(made.id) == made
    reasoning, message = made.output
    assert reasoning.type == "reasoning"
    assert [part.text for part in reasoning.summary] == ["I think hard."]
    assert (reasoning.status, message.type, made.output_text) == ("completed", "message", "Forty-two.")
    assert reasoning.encrypted_content is None
    assert made.usage
    assert made.usage.output_tokens_details.reasoning_tokens == 3


async def test_the_events_of_reasoning_are_typed_and_gathered_by_the_helper() -> None:
    async with sdk(saying(*REASONED)) as client, client.responses.stream(model="auto", input="hi") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert types_of(events) == [*REASONING_EVENTS, *TEXT_EVENTS]
    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    assert "".join(deltas) == "I think hard."
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_refusal_is_a_part_of_the_message() -> None:
    async with sdk(saying(*REFUSED, END)) as client:
        made = await client.responses.create(model="auto", input="hi")
        listed = await client.responses.retrieve(made.id)
    (message,) = made.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "refusal"
    assert (part.refusal, made.status, made.output_text) == ("I can't help with that.", "completed", "")
    assert listed == made


async def test_the_events_of_a_refusal_are_typed_and_gathered_by_the_helper() -> None:
    async with sdk(saying(*REFUSED, END)) as client, client.responses.stream(model="auto", input="hi") as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert types_of(events) == REFUSAL_EVENTS
    places = {event.content_index for event in events if event.type.startswith("response.refusal")}  # type: ignore[union-attr]
    assert places == {0}
    (message,) = final.output
    assert message.type == "message"
    assert [part.type for part in message.content] == ["refusal"]


async def test_a_refusal_after_text_is_the_second_part() -> None:
    async with sdk(saying(TextPiece(text="Well, "), *REFUSED, END)) as client:
        stream = await client.responses.create(model="auto", input="hi", stream=True)
        events = [event async for event in stream]
    assert types_of(events)[3:8] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
    ]
    done = next(event for event in events if event.type == "response.refusal.done")
    assert (done.content_index, done.refusal) == (1, "I can't help with that.")
    last = events[-1]
    assert last.type == "response.completed"
    (message,) = last.response.output
    assert [part.type for part in cast("Any", message).content] == ["output_text", "refusal"]


async def test_a_refusal_needs_no_format() -> None:
    text: Any = {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}}
    both = (Capability.TOOLS, Capability.JSON_SCHEMA)
    for abilities in (both, (Capability.JSON_SCHEMA,)):
        async with sdk(able(FakeBackend([*REFUSED, END]), *abilities)) as client:
            made = await client.responses.create(model="auto", input="hi", text=text, tools=[WEATHER])
        assert made.status == "completed"


async def test_a_chat_has_the_refusal_and_the_reasoning_beside_the_content() -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    async with sdk(api(FakeBackend([*REFUSED, END], REASONED, REASONED))) as client:
        refused = await client.chat.completions.create(model="auto", messages=messages)
        reasoned = await client.chat.completions.create(model="auto", messages=[*messages, messages[0]])
        stream = await client.chat.completions.create(model="auto", messages=messages * 3, stream=True)
        deltas = [choice.delta.to_dict() async for chunk in stream for choice in chunk.choices]
    choice = refused.choices[0]
    assert (choice.message.refusal, choice.message.content, choice.finish_reason) == (
        "I can't help with that.",
        None,
        "stop",
    )
    assert reasoned.choices[0].message.content == "Forty-two."
    assert cast("Any", reasoned.choices[0].message).reasoning_content == "I think hard."
    assert reasoned.usage
    assert reasoned.usage.completion_tokens_details
    assert reasoned.usage.completion_tokens_details.reasoning_tokens == 3
    assert "".join(str(delta.get("reasoning_content", "")) for delta in deltas) == "I think hard."
    assert "".join(str(delta.get("content") or "") for delta in deltas) == "Forty-two."


async def test_a_streamed_chat_has_the_refusal() -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    async with sdk(saying(*REFUSED, END)) as client:
        stream = client.chat.completions.stream(model="auto", messages=messages)
        async with stream as chat:
            events = [event async for event in chat]
            final = await chat.get_final_completion()
    assert [event.type for event in events if event.type.startswith("refusal")][-1] == "refusal.done"
    assert final.choices[0].message.refusal == "I can't help with that."


async def test_a_later_turn_keeps_the_refusal_and_the_reasoning() -> None:
    one = api(FakeBackend([*THOUGHT, *REFUSED, END]))
    async with sdk(one) as client:
        first = await client.responses.create(model="auto", input="hi")
        await client.responses.create(model="auto", input="why?", previous_response_id=first.id)
    _, reasoning, refusal, _ = sent_items(one)
    assert (reasoning.kind, reasoning.text) == (ItemKind.REASONING, "I think hard.")
    assert refusal.refusal == "I can't help with that."


@pytest.mark.parametrize("stream", [True, False])
async def test_encrypted_content_is_filled_on_demand_and_read_back(stream: object) -> None:
    one = able(FakeBackend([*THOUGHT, *NATIVE], REASONED), Capability.TOOLS)
    async with sdk(one) as client:
        if stream:
            async with client.responses.stream(model="auto", input="hi", include=PACKED, tools=[WEATHER]) as events:
                done = [event.item async for event in events if event.type == "response.output_item.done"]
                made = await events.get_final_response()
            assert cast("Any", done[0]).encrypted_content == cast("Any", made.output[0]).encrypted_content
        else:
            made = cast("Any", await client.responses.create(model="auto", input="hi", include=PACKED, tools=[WEATHER]))
        thought, called = (cast("dict[str, Any]", item.to_dict()) for item in made.output)
        assert thought["encrypted_content"]
        result = {"type": "function_call_output", "call_id": called["call_id"], "output": "sun"}
        back: Any = [{"role": "user", "content": "hi"}, {**thought, "summary": []}, called, result]
        await client.responses.create(model="auto", input=back, tools=[WEATHER], store=False)
    assert sent_items(one)[1].text == "I think hard."


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"summary": [{"type": "summary_text", "text": "hm"}]}, "hm"),
        ({"summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}, "hm"),
        ({"summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAAAABo_other_service"}, "hm"),
        ({"summary": [], "encrypted_content": "AAAA"}, ""),
        ({"summary": [], "encrypted_content": None}, ""),
    ],
)
async def test_every_form_of_reasoning_is_accepted_as_input(item: dict[str, Any], text: str) -> None:
    one = saying(*REASONED)
    given: Any = [{"role": "user", "content": "hi"}, {"type": "reasoning", "id": "rs_1", **item}]
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input=given)
    assert made.status == "completed"
    assert sent_items(one)[1].text == text


async def test_what_cannot_be_included_is_rejected_or_named() -> None:
    async with sdk(saying(*REASONED)) as client:
        with pytest.raises(openai.BadRequestError, match="logprobs") as caught:
            await client.responses.create(model="auto", input="hi", include=["message.output_text.logprobs"])
        raw = await client.responses.with_raw_response.create(
            model="auto", input="hi", include=["web_search_call.results", *PACKED, "message.input_image.image_url"]
        )
    assert caught.value.param == "include[0]"
    assert raw.headers["x-ganglion-ignored"] == "include.web_search_call.results"


async def test_a_chat_message_with_reasoning_becomes_an_item() -> None:
    one = saying(*REASONED)
    messages: Any = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "a", "reasoning_content": "hm"},
        {"role": "assistant", "content": "b", "reasoning": "so"},
        {"role": "user", "content": "?"},
    ]
    async with sdk(one) as client:
        await client.chat.completions.create(model="auto", messages=messages)
    assert [item.text for item in sent_items(one)] == ["hi", "hm", "a", "so", "b", "?"]
