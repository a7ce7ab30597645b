"""Which server-sent event does an event of the log become?

One event of the log is one event of the stream, with the same number: a resumed stream continues the first one byte for
byte.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from api.rendering.logprobs import openai_from_logprobs
from api.rendering.response import (
    Json,
    openai_from_logged,
    openai_from_response,
    refusal_part,
    summary_part,
    text_part,
)
from domain.content.custom_tools import custom_text
from domain.content.items import Item, ItemKind
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.log.token_logprobs import TokenLogprob
from domain.log.transcript import Transcript, after_event
from domain.turns.response import Response

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def error_event(message: str, *, code: str) -> bytes:
    """Return the event that ends a stream which cannot go on; the SDKs raise an error for it."""
    error = {"message": message, "type": "server_error", "param": None, "code": code}
    return f"event: error\ndata: {json.dumps({**error, 'type': 'error', 'error': error})}\n\n".encode()


type Render = Callable[[Response, Transcript, LogEvent], Json]


def snapshot(response: Response, transcript: Transcript, _event: LogEvent) -> Json:
    return {"response": openai_from_response(response, transcript)}


def whole_item(response: Response, transcript: Transcript, event: LogEvent) -> Json:
    item = openai_from_logged(transcript.items[event.output], response, transcript)
    return {"output_index": event.output, "item": item}


def place(transcript: Transcript, event: LogEvent) -> Json:
    return {"item_id": transcript.items[event.output].id, "output_index": event.output}


def text_place(transcript: Transcript, event: LogEvent) -> Json:
    return place(transcript, event) | {"content_index": 0}


def summary_place(transcript: Transcript, event: LogEvent) -> Json:
    return place(transcript, event) | {"summary_index": 0}


def text_at(transcript: Transcript, event: LogEvent) -> str:
    return transcript.items[event.output].text


def logprobs_at(transcript: Transcript, event: LogEvent) -> Sequence[TokenLogprob]:
    return transcript.logprobs.get(transcript.items[event.output].id, ())


def part_added(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return text_place(transcript, event) | {"part": text_part("")}


def text_delta(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return text_place(transcript, event) | {
        "delta": event.text,
        "logprobs": openai_from_logprobs(event.logprobs),
    }


def text_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    logprobs = openai_from_logprobs(logprobs_at(transcript, event))
    return text_place(transcript, event) | {"text": text_at(transcript, event), "logprobs": logprobs}


def part_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    part = text_part(text_at(transcript, event), logprobs_at(transcript, event))
    return text_place(transcript, event) | {"part": part}


def refusal_place(transcript: Transcript, event: LogEvent) -> Json:
    """Return the place of a refusal: it follows the text, if there is one."""
    return place(transcript, event) | {"content_index": 1 if text_at(transcript, event) else 0}


def refusal_added(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return refusal_place(transcript, event) | {"part": refusal_part("")}


def refusal_delta(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return refusal_place(transcript, event) | {"delta": event.text}


def refusal_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return refusal_place(transcript, event) | {"refusal": transcript.items[event.output].refusal}


def refusal_part_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return refusal_place(transcript, event) | {"part": refusal_part(transcript.items[event.output].refusal)}


def arguments_delta(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return place(transcript, event) | {"delta": event.text}


def arguments_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    item = transcript.items[event.output]
    return place(transcript, event) | {"name": item.name, "arguments": item.text}


def input_delta(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return place(transcript, event) | {"delta": custom_text(event.text)}


def input_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return place(transcript, event) | {"input": custom_text(text_at(transcript, event))}


def summary_added(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return summary_place(transcript, event) | {"part": summary_part("")}


def summary_delta(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return summary_place(transcript, event) | {"delta": event.text}


def summary_text_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return summary_place(transcript, event) | {"text": text_at(transcript, event)}


def summary_part_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return summary_place(transcript, event) | {"part": summary_part(text_at(transcript, event))}


EVENTS: Mapping[EventKind, tuple[str, Render]] = {
    EventKind.CREATED: ("response.created", snapshot),
    EventKind.QUEUED: ("response.queued", snapshot),
    EventKind.STARTED: ("response.in_progress", snapshot),
    EventKind.ITEM_ADDED: ("response.output_item.added", whole_item),
    EventKind.PART_ADDED: ("response.content_part.added", part_added),
    EventKind.TEXT: ("response.output_text.delta", text_delta),
    EventKind.TEXT_DONE: ("response.output_text.done", text_done),
    EventKind.PART_DONE: ("response.content_part.done", part_done),
    EventKind.ARGUMENTS: ("response.function_call_arguments.delta", arguments_delta),
    EventKind.ARGUMENTS_DONE: ("response.function_call_arguments.done", arguments_done),
    EventKind.ITEM_DONE: ("response.output_item.done", whole_item),
}

REASONING_EVENTS: Mapping[EventKind, tuple[str, Render]] = {
    EventKind.PART_ADDED: ("response.reasoning_summary_part.added", summary_added),
    EventKind.TEXT: ("response.reasoning_summary_text.delta", summary_delta),
    EventKind.TEXT_DONE: ("response.reasoning_summary_text.done", summary_text_done),
    EventKind.PART_DONE: ("response.reasoning_summary_part.done", summary_part_done),
}
"""The events that differ where the item is reasoning."""

REFUSAL_EVENTS: Mapping[EventKind, tuple[str, Render]] = {
    EventKind.PART_ADDED: ("response.content_part.added", refusal_added),
    EventKind.TEXT: ("response.refusal.delta", refusal_delta),
    EventKind.TEXT_DONE: ("response.refusal.done", refusal_done),
    EventKind.PART_DONE: ("response.content_part.done", refusal_part_done),
}
"""The events of the refusal of a message."""

CUSTOM_EVENTS: Mapping[EventKind, tuple[str, Render]] = {
    EventKind.ARGUMENTS: ("response.custom_tool_call_input.delta", input_delta),
    EventKind.ARGUMENTS_DONE: ("response.custom_tool_call_input.done", input_done),
}
"""The events that differ where the item is a call of a custom tool. All arguments of a call are in one event."""


def bare_place(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return place(transcript, event)


def server_arguments_done(_response: Response, transcript: Transcript, event: LogEvent) -> Json:
    return place(transcript, event) | {"arguments": text_at(transcript, event)}


SERVER_EVENTS: Mapping[EventKind, tuple[str, Render]] = {
    EventKind.CALL_STARTED: ("response.{}.in_progress", bare_place),
    EventKind.ARGUMENTS: ("response.mcp_call_arguments.delta", arguments_delta),
    EventKind.ARGUMENTS_DONE: ("response.mcp_call_arguments.done", server_arguments_done),
    EventKind.CALL_SEARCHING: ("response.{}.searching", bare_place),
    EventKind.CALL_ENDED: ("response.{}.completed", bare_place),
}
"""The events of lists and calls of tools that the server runs; the braces stand for the type of the item."""

FAILED = "response.{}.failed"

ENDINGS: Mapping[ResponseStatus, str] = {
    ResponseStatus.COMPLETED: "response.completed",
    ResponseStatus.INCOMPLETE: "response.incomplete",
    ResponseStatus.FAILED: "response.failed",
    ResponseStatus.CANCELLED: "response.failed",
}
"""OpenAI has no event for a cancelled response: it is sent as failed, and its object has the status cancelled."""


def openai_from_event(response: Response, transcript: Transcript, event: LogEvent) -> Json:
    """Return the stream event of a log event; `transcript` is the log including the event."""
    name, render = renderer_of(transcript, event)
    return {"type": name, "sequence_number": transcript.next_sequence - 1} | render(response, transcript, event)


def renderer_of(transcript: Transcript, event: LogEvent) -> tuple[str, Render]:
    if event.kind is EventKind.ENDED:
        return ENDINGS[transcript.status], snapshot
    if event.is_refusal:
        return REFUSAL_EVENTS[event.kind]
    if event.kind in SERVER_EVENTS and transcript.items[event.output].server:
        return server_renderer_of(transcript.items[event.output], event)
    if event.kind in REASONING_EVENTS and is_reasoning(transcript.items[event.output]):
        return REASONING_EVENTS[event.kind]
    if event.kind in CUSTOM_EVENTS and transcript.items[event.output].is_custom:
        return CUSTOM_EVENTS[event.kind]
    return EVENTS[event.kind]


def server_renderer_of(item: Item, event: LogEvent) -> tuple[str, Render]:
    """Return the event of a server's tool. A search has none of its own for a failure: its item says so."""
    name, render = SERVER_EVENTS[event.kind]
    can_fail = item.kind is not ItemKind.FILE_SEARCH
    has_failed = can_fail and event.kind is EventKind.CALL_ENDED and item.error is not None
    return (FAILED if has_failed else name).format(item.kind.value), render


def is_reasoning(item: Item) -> bool:
    return item.kind is ItemKind.REASONING


def frames(response: Response, transcript: Transcript, slot: Slot, *, after: int) -> Iterator[bytes]:
    """Yield the bytes of a slot's events numbered above `after`; `transcript` is the log before the slot."""
    for event in slot.events:
        transcript = after_event(transcript, event)
        if transcript.next_sequence - 1 > after:
            yield frame(openai_from_event(response, transcript, event))


def frame(body: Json) -> bytes:
    """Return one server-sent event. ASCII only: some clients end a line at U+2028 or U+0085."""
    text = json.dumps(body, separators=(",", ":"))
    return f"event: {body['type']}\ndata: {text}\n\n".encode()
