"""Does every log become a stream that the official SDKs can read?"""

from copy import replace
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from openresponses_types import types as specified
from pydantic import BaseModel, TypeAdapter

from api.rendering.response import Json
from api.rendering.sse_events import frame, frames, openai_from_event
from domain.content.items import ItemKind, ItemStatus
from domain.log.events import Ending, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.item_events import ItemHeader
from domain.log.transcript import Transcript, after_event
from tests.api.rendering.test_response import RESPONSE

BACKGROUND = replace(RESPONSE, options=replace(RESPONSE.options, background=True))
CREATED, QUEUED = LogEvent(kind=EventKind.CREATED), LogEvent(kind=EventKind.QUEUED)
STARTED = LogEvent(kind=EventKind.STARTED)


def item(kind: ItemKind, *texts: str, index: int = 0, status: ItemStatus = ItemStatus.COMPLETED) -> list[LogEvent]:
    """Return the events of one item, from its opening to its end."""
    prefix = {ItemKind.MESSAGE: "msg", ItemKind.FUNCTION_CALL: "fc", ItemKind.REASONING: "rs"}[kind]
    head = ItemHeader(id=f"{prefix}_{index}", kind=kind, name="f", call_id="call_1")
    opened = LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=head)
    done = LogEvent(kind=EventKind.ITEM_DONE, output=index, status=status)
    if kind is ItemKind.FUNCTION_CALL:
        deltas = [LogEvent(kind=EventKind.ARGUMENTS, output=index, text=text) for text in texts]
        return [opened, *deltas, LogEvent(kind=EventKind.ARGUMENTS_DONE, output=index), done]
    deltas = [LogEvent(kind=EventKind.TEXT, output=index, text=text) for text in texts]
    part = [LogEvent(kind=EventKind.TEXT_DONE, output=index), LogEvent(kind=EventKind.PART_DONE, output=index)]
    return [opened, LogEvent(kind=EventKind.PART_ADDED, output=index), *deltas, *part, done]


def refusal(text: str, words: str) -> list[LogEvent]:
    """Return the events of a message whose text ends in a refusal."""
    *whole, done = item(ItemKind.MESSAGE, text)
    kinds = (EventKind.PART_ADDED, EventKind.TEXT, EventKind.TEXT_DONE, EventKind.PART_DONE)
    part = [LogEvent(kind=kind, text=words if kind is EventKind.TEXT else "", is_refusal=True) for kind in kinds]
    return [*whole, *part, done]


def ended(status: ResponseStatus, code: str = "") -> LogEvent:
    usage = TokenUsage(input_tokens=1, output_tokens=2)
    ending = Ending(status=status, at=1_800_000_001.0, code=code, message="", usage=usage)
    return LogEvent(kind=EventKind.ENDED, ending=ending)


def streamed(*events: LogEvent, background: bool = False) -> list[Json]:
    log = Transcript()
    bodies: list[Json] = []
    for event in events:
        log = after_event(log, event)
        bodies.append(openai_from_event(BACKGROUND if background else RESPONSE, log, event))
    return bodies


@dataclass(frozen=True, slots=True)
class Stream:
    """A log and the names of its stream events."""

    events: list[LogEvent]
    names: list[str]
    background: bool = False

    def bodies(self) -> list[Json]:
        return streamed(*self.events, background=self.background)


STREAMS: dict[str, Stream] = {
    "text": Stream(
        [CREATED, STARTED, *item(ItemKind.MESSAGE, "he", "llo"), ended(ResponseStatus.COMPLETED)],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ],
    ),
    "a function call": Stream(
        [CREATED, STARTED, *item(ItemKind.FUNCTION_CALL, '{"a"', ":1}"), ended(ResponseStatus.COMPLETED)],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ],
    ),
    "reasoning": Stream(
        [CREATED, STARTED, *item(ItemKind.REASONING, "hm"), ended(ResponseStatus.COMPLETED)],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.completed",
        ],
    ),
    "a refusal after text": Stream(
        [CREATED, STARTED, *refusal("Well.", "I can't"), ended(ResponseStatus.COMPLETED)],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.content_part.added",
            "response.refusal.delta",
            "response.refusal.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ],
    ),
    "in the background": Stream(
        [CREATED, QUEUED, STARTED, ended(ResponseStatus.COMPLETED)],
        ["response.created", "response.queued", "response.in_progress", "response.completed"],
        background=True,
    ),
    "incomplete": Stream(
        [CREATED, STARTED, ended(ResponseStatus.INCOMPLETE, "max_output_tokens")],
        ["response.created", "response.in_progress", "response.incomplete"],
    ),
    "failed": Stream(
        [CREATED, STARTED, ended(ResponseStatus.FAILED, "server_error")],
        ["response.created", "response.in_progress", "response.failed"],
    ),
    "cancelled before it began": Stream(
        [CREATED, QUEUED, ended(ResponseStatus.CANCELLED)],
        ["response.created", "response.queued", "response.failed"],
        background=True,
    ),
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_stream_has_the_events_of_the_api_in_order(stream: Stream) -> None:
    bodies = stream.bodies()
    assert [body["type"] for body in bodies] == stream.names
    assert [body["sequence_number"] for body in bodies] == list(range(len(stream.names)))


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_the_official_sdk_and_the_specification_know_every_event(stream: Stream) -> None:
    reader: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    for body, name in zip(stream.bodies(), stream.names, strict=True):
        assert reader.validate_python(body).type == name
        assert model_of(name).model_validate(body)


def model_of(name: str) -> type[BaseModel]:
    """Return the specification's model of an event."""
    words = name.removeprefix("response.").replace("summary_text", "summary").replace(".", "_").split("_")
    return getattr(specified, f"Response{''.join(word.capitalize() for word in words)}StreamingEvent")


def test_deltas_add_up_to_the_final_text() -> None:
    bodies = STREAMS["text"].bodies()
    text = "".join(body["delta"] for body in bodies if body["type"] == "response.output_text.delta")
    done = next(body for body in bodies if body["type"] == "response.output_text.done")
    final = bodies[-1]["response"]["output"][0]
    assert text == done["text"] == final["content"][0]["text"] == "hello"
    assert {body["item_id"] for body in bodies if "item_id" in body} == {final["id"]}


def test_argument_deltas_add_up_to_the_final_arguments() -> None:
    bodies = STREAMS["a function call"].bodies()
    done = next(body for body in bodies if body["type"] == "response.function_call_arguments.done")
    assert (done["arguments"], done["name"]) == ('{"a":1}', "f")
    assert bodies[2]["item"]["arguments"] == ""
    assert bodies[-1]["response"]["output"][0]["arguments"] == '{"a":1}'


def test_a_cancelled_stream_ends_as_failed_with_a_cancelled_response() -> None:
    last = STREAMS["cancelled before it began"].bodies()[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")


def test_a_background_response_is_shown_as_queued_until_it_begins() -> None:
    bodies = STREAMS["in the background"].bodies()
    assert [body["response"]["status"] for body in bodies] == ["queued", "queued", "in_progress", "completed"]


def test_a_restarted_answer_has_an_index_of_its_own() -> None:
    abandoned = item(ItemKind.MESSAGE, "on", status=ItemStatus.INCOMPLETE)
    again = item(ItemKind.MESSAGE, "two", index=1)
    bodies = streamed(CREATED, STARTED, *abandoned, *again, ended(ResponseStatus.COMPLETED))
    done = [body for body in bodies if body["type"] == "response.output_item.done"]
    assert [(body["output_index"], body["item"]["status"]) for body in done] == [(0, "incomplete"), (1, "completed")]
    assert [one["id"] for one in bodies[-1]["response"]["output"]] == ["msg_1"]


@given(st.text(), st.integers(0, 12))
def test_slots_of_any_size_become_the_same_bytes(text: str, cut: int) -> None:
    events = (CREATED, STARTED, *item(ItemKind.MESSAGE, text), ended(ResponseStatus.COMPLETED))
    whole = list(frames(RESPONSE, Transcript(), slot(0, 0, events), after=-1))
    log = Transcript()
    for event in events[:cut]:
        log = after_event(log, event)
    first = frames(RESPONSE, Transcript(), slot(0, 0, events[:cut]), after=-1)
    rest = frames(RESPONSE, log, slot(1, cut, events[cut:]), after=-1)
    assert [*first, *rest] == whole


def slot(number: int, first: int, events: tuple[LogEvent, ...]) -> Slot:
    return Slot(number=number, writer="w", first=first, at=0.0, events=events)


@given(st.text(st.characters()))
def test_a_frame_has_two_lines_for_every_parser(text: str) -> None:
    raw = frame({"type": "x", "text": text + "\u2028\u0085\r\n\ud800"})
    assert raw.isascii()
    assert len(raw.decode().splitlines()) == 3
    assert raw.endswith(b"\n\n")
