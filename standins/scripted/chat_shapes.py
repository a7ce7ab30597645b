"""How do the OpenAI shapes of an answer look on the wire?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from standins.json_values import Json
from standins.scripted.chat_request import Ask
from standins.scripted.script import Answer, prompt_tokens

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Bytes to send once `tokens` tokens are made in all."""

    data: bytes
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    id: str
    created: int
    ask: Ask
    answer: Answer


def frames_of(heading: Heading) -> list[Frame]:
    return list(stream_frames(heading)) if heading.ask.stream else list(body_frames(heading))


def stream_frames(heading: Heading) -> Iterator[Frame]:
    answer, last = heading.answer, len(heading.answer.pieces)
    yield Frame(data=chunk(heading, opening(heading)), tokens=0)
    for index, piece in enumerate(answer.pieces, start=1):
        yield Frame(data=chunk(heading, delta(answer, piece)), tokens=index)
    yield Frame(data=chunk(heading, {}, finish=answer.finish), tokens=last)
    if heading.ask.include_usage:
        yield Frame(
            data=frame({**head(heading, "chat.completion.chunk"), "choices": [], "usage": usage(heading)}), tokens=last
        )
    yield Frame(data=DONE, tokens=last)


def body_frames(heading: Heading) -> Iterator[Frame]:
    """Gives the body in two halves, so that a failure can come between them."""
    choice = {"index": 0, "message": message(heading), "finish_reason": heading.answer.finish}
    body = {**head(heading, "chat.completion"), "choices": [choice], "usage": usage(heading)}
    data, last = json.dumps(body).encode(), len(heading.answer.pieces)
    yield Frame(data=data[: len(data) // 2], tokens=last)
    yield Frame(data=data[len(data) // 2 :], tokens=last)


def head(heading: Heading, kind: str) -> Json:
    return {"id": heading.id, "object": kind, "created": heading.created, "model": heading.ask.model}


def frame(body: Json) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def chunk(heading: Heading, change: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": change, "finish_reason": finish}
    return frame({**head(heading, "chat.completion.chunk"), "choices": [choice]})


def opening(heading: Heading) -> Json:
    if heading.answer.tool is None:
        return {"role": "assistant", "content": ""}
    return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **tool_call(heading, "")}]}


def delta(answer: Answer, piece: str) -> Json:
    if answer.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def message(heading: Heading) -> Json:
    text = "".join(heading.answer.pieces)
    if heading.answer.tool is None:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": None, "tool_calls": [tool_call(heading, text)]}


def tool_call(heading: Heading, arguments: str) -> Json:
    name = heading.id.replace("chatcmpl", "call")
    return {"id": name, "type": "function", "function": {"name": heading.answer.tool, "arguments": arguments}}


def usage(heading: Heading) -> Json:
    asked, made = prompt_tokens(heading.ask), len(heading.answer.pieces)
    return {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}


def error(status: int, message: str, param: str | None = None) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004 - HTTP's own border
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}
