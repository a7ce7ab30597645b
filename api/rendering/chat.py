"""How does a turn become a chat completion or a stream of its chunks?

The turn and its log are the same as those of a response.
"""

import json
from collections.abc import Iterator, Mapping
from copy import replace
from typing import Any

from api.rendering.logprobs import chat_from_logprobs
from api.rendering.response import FAILED_MESSAGE, Json
from domain.content.custom_tools import custom_text
from domain.content.items import Item, ItemKind
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.transcript import Transcript, after_event, kept_items
from domain.turns.response import Response

PREFIX = "chatcmpl-"

FINISHES: Mapping[ResponseStatus, str] = {ResponseStatus.COMPLETED: "stop", ResponseStatus.INCOMPLETE: "length"}

FILTERED = "content_filter"
"""The reason where the backend's content filter cut off the answer; both APIs use the same word."""

CANCELLED = "The turn was cancelled."
"""The error of a chat that was deleted while it ran: half an answer must not look complete."""

RESTARTED = (
    "The answer was interrupted and restarted with a different text. Send the request again, or use the Responses API, "
    "whose streams can replace text."
)


def chat_id(response: Response) -> str:
    return PREFIX + response.id.removeprefix("resp_")


def response_id_of(identifier: str) -> str:
    """Return the id of the response of a chat completion."""
    return "resp_" + identifier.removeprefix(PREFIX)


def chat_from_response(response: Response, transcript: Transcript) -> Json:
    """Return the chat completion of an ended turn."""
    usage, items = transcript.ending.usage if transcript.ending else None, kept_items(transcript)
    logprobs = [token for item in items for token in transcript.logprobs.get(item.id, ())]
    return {
        "id": chat_id(response),
        "object": "chat.completion",
        "created": int(response.created_at),
        "model": response.model,
        "choices": [
            {
                "index": 0,
                "message": message_of(items),
                "logprobs": chat_from_logprobs(logprobs),
                "finish_reason": finish_reason(transcript),
            }
        ],
        "usage": usage_of(usage or TokenUsage()),
        "metadata": dict(response.options.metadata),
    }


def message_of(items: tuple[Item, ...]) -> Json:
    text = "".join(item.text for item in items if item.kind is ItemKind.MESSAGE)
    calls = [tool_call(item) for item in items if item.kind is ItemKind.FUNCTION_CALL]
    refusal = "".join(item.refusal for item in items) or None
    reasoning = "".join(item.text for item in items if item.kind is ItemKind.REASONING)
    content = None if (calls or refusal) and not text else text
    message: Json = {"role": "assistant", "content": content, "refusal": refusal}
    thought = {"reasoning_content": reasoning} if reasoning else {}
    return message | thought | ({"tool_calls": calls} if calls else {}) | {"annotations": []}


def tool_call(item: Item) -> Json:
    if item.is_custom:
        return {"id": item.call_id, "type": "custom", "custom": {"name": item.name, "input": custom_text(item.text)}}
    return {"id": item.call_id, "type": "function", "function": {"name": item.name, "arguments": item.text}}


def finish_reason(transcript: Transcript) -> str:
    has_calls = any(item.kind is ItemKind.FUNCTION_CALL for item in transcript.items)
    is_filtered = transcript.ending is not None and transcript.ending.code == FILTERED
    finish = FILTERED if is_filtered else FINISHES.get(transcript.status, "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish


def usage_of(usage: TokenUsage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": 0},
    }


def chunk(response: Response, choices: list[Json], **more: Any) -> Json:
    return {
        "id": chat_id(response),
        "object": "chat.completion.chunk",
        "created": int(response.created_at),
        "model": response.model,
        "choices": choices,
        **more,
    }


def choice(delta: Json, finish: str | None = None, logprobs: Json | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def chat_chunks(response: Response, transcript: Transcript, event: LogEvent, *, include_usage: bool) -> Iterator[Json]:
    """Yield the chunks of one log event; `transcript` is the log including the event.

    Where the turn fails, or its answer restarts after an interruption, the stream ends with an error.
    """
    match event.kind:
        case EventKind.CREATED:
            yield chunk(response, [choice({"role": "assistant", "content": "", "refusal": None})])
        case EventKind.TEXT:
            logprobs = chat_from_logprobs(event.logprobs)
            yield chunk(response, [choice({delta_field(transcript, event): event.text}, logprobs=logprobs)])
        case EventKind.ITEM_ADDED if event.header and event.header.kind is ItemKind.FUNCTION_CALL:
            yield chunk(response, [choice({"tool_calls": [added_call(transcript, event)]})])
        case EventKind.ITEM_ADDED if is_restarted(transcript):
            yield {"error": {"message": RESTARTED, "type": "server_error", "param": None, "code": "begun_afresh"}}
        case EventKind.ARGUMENTS:
            yield chunk(response, [choice({"tool_calls": [arguments_part(transcript, event)]})])
        case EventKind.ENDED:
            yield from ending_chunks(response, transcript, include_usage=include_usage)
        case _:
            return


def delta_field(transcript: Transcript, event: LogEvent) -> str:
    """Return the field of a delta that has a text; `reasoning_content` is what most servers and clients know."""
    if event.is_refusal:
        return "refusal"
    is_reasoning = transcript.items[event.output].kind is ItemKind.REASONING
    return "reasoning_content" if is_reasoning else "content"


def is_restarted(transcript: Transcript) -> bool:
    return sum(item.kind is ItemKind.MESSAGE for item in transcript.items) > 1


def added_call(transcript: Transcript, event: LogEvent) -> Json:
    item = transcript.items[event.output]
    called = replace(item, text="")
    return {"index": call_index(transcript, event), **tool_call(called)}


def arguments_part(transcript: Transcript, event: LogEvent) -> Json:
    """Return the part of a call that has all of its arguments."""
    is_custom = transcript.items[event.output].is_custom
    part: Json = (
        {"custom": {"input": custom_text(event.text)}} if is_custom else {"function": {"arguments": event.text}}
    )
    return {"index": call_index(transcript, event), **part}


def call_index(transcript: Transcript, event: LogEvent) -> int:
    return sum(item.kind is ItemKind.FUNCTION_CALL for item in transcript.items[: event.output])


def ending_chunks(response: Response, transcript: Transcript, *, include_usage: bool) -> Iterator[Json]:
    ending = transcript.ending
    if transcript.status is ResponseStatus.FAILED:
        message = ending.message if ending and ending.message else FAILED_MESSAGE
        code = ending.code if ending and ending.code else "server_error"
        yield {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
        return
    if transcript.status is ResponseStatus.CANCELLED:
        yield {"error": {"message": CANCELLED, "type": "server_error", "param": None, "code": "cancelled"}}
        return
    yield chunk(response, [choice({}, finish_reason(transcript))])
    if include_usage:
        yield chunk(response, [], usage=usage_of((ending.usage if ending else None) or TokenUsage()))


def chat_frames(response: Response, transcript: Transcript, slot: Slot, *, include_usage: bool) -> Iterator[bytes]:
    """Yield the bytes of a slot's chunks; `transcript` is the log before the slot. Nothing follows an error.

    With `include_usage` each chunk has a usage, which is null before the last one.
    """
    for event in () if is_restarted(transcript) else slot.events:
        transcript = after_event(transcript, event)
        for body in chat_chunks(response, transcript, event, include_usage=include_usage):
            noted = {**body, "usage": body.get("usage")} if include_usage and "error" not in body else body
            yield f"data: {json.dumps(noted, separators=(',', ':'))}\n\n".encode()
            if "error" in body:
                return
