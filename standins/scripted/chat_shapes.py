"""How do the OpenAI shapes of an answer look on the wire?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from standins.json_values import Json
from standins.scripted.chat_request import ScriptedRequest
from standins.scripted.script import ScriptedAnswer, prompt_tokens

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Bytes to send once `tokens` tokens are made in all."""

    data: bytes
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    id: str
    created: int
    ask: ScriptedRequest
    answer: ScriptedAnswer


def frames_of(heading: ChatReply) -> list[Frame]:
    return list(stream_frames(heading)) if heading.ask.stream else list(body_frames(heading))


def stream_frames(heading: ChatReply) -> Iterator[Frame]:
    answer, last = heading.answer, len(heading.answer.pieces)
    yield Frame(data=chunk(heading, opening(heading)), tokens=0)
    for index, piece in enumerate(answer.pieces, start=1):
        yield Frame(data=chunk(heading, delta(answer, piece)), tokens=index)
    yield Frame(data=chunk(heading, {}, finish=answer.finish), tokens=last)
    if heading.ask.include_usage:
        yield Frame(
            data=sse_frame({**envelope(heading, "chat.completion.chunk"), "choices": [], "usage": usage(heading)}),
            tokens=last,
        )
    yield Frame(data=DONE, tokens=last)


def body_frames(heading: ChatReply) -> Iterator[Frame]:
    """Gives the body in two halves, so that a failure can come between them."""
    choice = {"index": 0, "message": message(heading), "finish_reason": heading.answer.finish}
    body = {**envelope(heading, "chat.completion"), "choices": [choice], "usage": usage(heading)}
    data, last = json.dumps(body).encode(), len(heading.answer.pieces)
    yield Frame(data=data[: len(data) // 2], tokens=last)
    yield Frame(data=data[len(data) // 2 :], tokens=last)


def envelope(heading: ChatReply, kind: str) -> Json:
    return {"id": heading.id, "object": kind, "created": heading.created, "model": heading.ask.model}


def sse_frame(body: Json) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def chunk(heading: ChatReply, change: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": change, "finish_reason": finish}
    return sse_frame({**envelope(heading, "chat.completion.chunk"), "choices": [choice]})


def opening(heading: ChatReply) -> Json:
    if heading.answer.tool is None:
        return {"role": "assistant", "content": ""}
    return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **tool_call(heading, "")}]}


def delta(answer: ScriptedAnswer, piece: str) -> Json:
    if answer.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def message(heading: ChatReply) -> Json:
    text = "".join(heading.answer.pieces)
    if heading.answer.tool is None:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": None, "tool_calls": [tool_call(heading, text)]}


def tool_call(heading: ChatReply, arguments: str) -> Json:
    name = heading.id.replace("chatcmpl", "call")
    return {"id": name, "type": "function", "function": {"name": heading.answer.tool, "arguments": arguments}}


def usage(heading: ChatReply) -> Json:
    asked, made = prompt_tokens(heading.ask), len(heading.answer.pieces)
    return {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}


def error(status: int, message: str, param: str | None = None) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004 - HTTP's own border
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}
