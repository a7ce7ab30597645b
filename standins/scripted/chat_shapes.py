"""How does an answer look on the wire, in OpenAI's chat format?"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from standins.json_values import Json
from standins.scripted.chat_request import ScriptedRequest
from standins.scripted.script import ScriptedAnswer, prompt_tokens

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Bytes to send when `tokens` tokens have been generated in all."""

    data: bytes
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    id: str
    created: int
    chat: ScriptedRequest
    answer: ScriptedAnswer


def frames_of(reply: ChatReply) -> list[Frame]:
    return list(stream_frames(reply)) if reply.chat.stream else list(body_frames(reply))


def stream_frames(reply: ChatReply) -> Iterator[Frame]:
    answer, last = reply.answer, len(reply.answer.pieces)
    yield Frame(data=chunk(reply, opening(reply)), tokens=0)
    for call in planned_calls(reply):
        yield Frame(data=chunk(reply, {"tool_calls": [call]}), tokens=last)
    for index, piece in enumerate(answer.pieces, start=1):
        scored = scores(reply, [piece]) if answer.tool is None else {}
        yield Frame(data=chunk(reply, delta(answer, piece), **scored), tokens=index)
    yield Frame(data=chunk(reply, {}, finish=answer.finish), tokens=last)
    if reply.chat.include_usage:
        yield Frame(
            data=sse_frame({**envelope(reply, "chat.completion.chunk"), "choices": [], "usage": usage(reply)}),
            tokens=last,
        )
    yield Frame(data=DONE, tokens=last)


def body_frames(reply: ChatReply) -> Iterator[Frame]:
    """Gives the body in two halves, so that a fault can come between them."""
    choice = {"index": 0, "message": message(reply), "finish_reason": reply.answer.finish}
    if reply.answer.tool is None and not reply.answer.calls:
        choice |= scores(reply, reply.answer.pieces)
    body = {**envelope(reply, "chat.completion"), "choices": [choice], "usage": usage(reply)}
    data, last = json.dumps(body).encode(), len(reply.answer.pieces)
    yield Frame(data=data[: len(data) // 2], tokens=last)
    yield Frame(data=data[len(data) // 2 :], tokens=last)


def envelope(reply: ChatReply, kind: str) -> Json:
    return {"id": reply.id, "object": kind, "created": reply.created, "model": reply.chat.model}


def sse_frame(body: Json) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def chunk(reply: ChatReply, change: Json, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": change, "finish_reason": finish, **more}
    return sse_frame({**envelope(reply, "chat.completion.chunk"), "choices": [choice]})


def opening(reply: ChatReply) -> Json:
    if reply.answer.calls:
        return {"role": "assistant", "content": None}
    if reply.answer.tool is None:
        return {"role": "assistant", "content": ""}
    return {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **tool_call(reply, "")}]}


def delta(answer: ScriptedAnswer, piece: str) -> Json:
    if answer.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def message(reply: ChatReply) -> Json:
    text = "".join(reply.answer.pieces)
    if reply.answer.calls:
        return {"role": "assistant", "content": None, "tool_calls": planned_calls(reply)}
    if reply.answer.tool is None:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": None, "tool_calls": [tool_call(reply, text)]}


def tool_call(reply: ChatReply, arguments: str) -> Json:
    name = reply.id.replace("chatcmpl", "call")
    return {"id": name, "type": "function", "function": {"name": reply.answer.tool, "arguments": arguments}}


def planned_calls(reply: ChatReply) -> list[Json]:
    """Gives the calls of a planned round, numbered and each with an id of its own."""
    first = reply.id.replace("chatcmpl", "call")
    return [
        {
            "index": index,
            "id": f"{first}-{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(reply.answer.calls)
    ]


def scores(reply: ChatReply, tokens: Sequence[str]) -> Json:
    """Gives the log probabilities of tokens, which depend on the tokens alone, where the request asks for them."""
    top = reply.chat.top_logprobs
    if top is None:
        return {}
    return {"logprobs": {"content": [{**score(each, 0), "top_logprobs": options(each, top)} for each in tokens]}}


def options(token: str, top: int) -> list[Json]:
    return [score(token if rank == 0 else f"{token}{rank}", rank) for rank in range(top)]


def score(token: str, rank: int) -> Json:
    return {"token": token, "logprob": -(len(token) + 1) / 16 - rank, "bytes": list(token.encode())}


def usage(reply: ChatReply) -> Json:
    prompt, completion = prompt_tokens(reply.chat), len(reply.answer.pieces)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def error(status: int, message: str, param: str | None = None) -> Json:
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004 - HTTP's boundary
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}
