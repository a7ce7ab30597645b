"""Which answers have public reports shown that a client of the specification does not expect?

Each answer is what one or more servers send: inference servers, gateways and model hosts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from standins.json_values import Json

DONE: Final = b"data: [DONE]\n\n"
USAGE: Final[Json] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@dataclass(frozen=True, slots=True, kw_only=True)
class OddAnswer:
    """The chunks of a body, with its status and content type."""

    chunks: tuple[bytes, ...]
    status: int = 200
    content_type: str = "text/event-stream"


def line(body: Json) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def chunk(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return line({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def counted(usage: Json) -> bytes:
    return line(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
    )


def stream(*deltas: Json, finish: str | None = "stop", usage: Json | None = USAGE, done: bool = True) -> OddAnswer:
    """Gives a stream of these deltas, its finish reason, its usage and its last line."""
    ending = [chunk({}, finish)] if finish else []
    counts = [counted(usage)] if usage else []
    return OddAnswer(chunks=(*map(chunk, deltas), *ending, *counts, *([DONE] if done else [])))


def whole(message: Json, finish: str = "stop") -> OddAnswer:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}
    return OddAnswer(chunks=(json.dumps(body).encode(),), content_type="application/json")


def called(name: str, arguments: object, **more: object) -> Json:
    return {"function": {"name": name, "arguments": arguments}, "type": "function", **more}


def calls(*parts: Json) -> Json:
    return {"tool_calls": list(parts)}


def refused(status: int, body: object, content_type: str = "application/json") -> OddAnswer:
    text = body if isinstance(body, str) else json.dumps(body)
    return OddAnswer(chunks=(text.encode(),), status=status, content_type=content_type)


def with_reasoning(field: str, **usage: object) -> OddAnswer:
    deltas = ({field: "I think"}, {field: " hard."}, {"content": "Forty-two."})
    return stream(*deltas, usage={**USAGE, **usage})


ONE, TWO = '{"x":1}', '{"y":2}'
TEXT: Final[Json] = {"content": "Hello."}
DETAILS: Final[Json] = {"reasoning_tokens": 3}

CALLS: Final[Mapping[str, OddAnswer]] = {
    "calls-index-0": stream(
        calls(called("one", ONE, index=0, id="call_a")),
        calls(called("two", TWO, index=0, id="call_b")),
        finish="tool_calls",
    ),
    "calls-no-index": stream(
        calls(called("one", ONE, id="call_a")), calls(called("two", TWO, id="call_b")), finish="tool_calls"
    ),
    "calls-in-one-frame": stream(
        calls(called("one", ONE, id="call_a"), called("two", TWO, id="call_b")), finish="tool_calls"
    ),
    "calls-no-ids": stream(calls(called("one", ONE, index=0)), calls(called("two", TWO, index=1)), finish="tool_calls"),
    "calls-stop": stream(
        calls(called("one", ONE, index=0, id="call_a")), calls(called("two", TWO, index=1, id="call_b")), finish="stop"
    ),
    "calls-in-pieces": stream(
        calls(called("one", "", index=0, id="call_a")),
        calls({"index": 0, "function": {"arguments": '{"x"'}}),
        calls({"index": 0, "function": {"arguments": ":1}"}}),
        calls(called("two", TWO, index=1, id="call_b")),
        finish="tool_calls",
    ),
    "call-legacy": stream({"function_call": {"name": "one", "arguments": ONE}}, finish="function_call"),
    "call-empty-arguments": stream(calls(called("one", "", index=0, id="call_a")), finish="tool_calls"),
    "call-null-arguments": stream(calls(called("one", None, index=0, id="call_a")), finish="tool_calls"),
    "call-blank-arguments": stream(calls(called("one", " \n", index=0, id="call_a")), finish="tool_calls"),
}

ENDS: Final[Mapping[str, OddAnswer]] = {
    **{f"finish-{word}": stream({"content": "Half an ans"}, finish=word) for word in ("abort", "error", "eos_token")},
    "finish-none": stream({"content": "Half an ans"}, finish=None),
    "finish-length": stream({"content": "Half an ans"}, finish="length"),
    "finish-filter": stream({"content": "Half an ans"}, finish="content_filter"),
    "no-done": stream(TEXT, done=False),
    "no-usage": stream(TEXT, usage=None),
    "usage-null": stream(TEXT, usage={"prompt_tokens": None, "completion_tokens": None}),
    "role-first": stream({"role": "assistant", "content": None}, TEXT),
    "no-choices-first": OddAnswer(chunks=(counted({}), *stream(TEXT).chunks)),
    "crlf": OddAnswer(chunks=tuple(each.replace(b"\n", b"\r\n") for each in stream(TEXT).chunks)),
    "comments": OddAnswer(chunks=(b": processing\n\n", *stream(TEXT).chunks)),
    "two-halves": stream({"content": "\ud83d"}, {"content": "\ude00"}),
    "not-streamed-parts": whole({"role": "assistant", "content": [{"type": "text", "text": "Hello."}]}),
}

WORDS: Final[Mapping[str, OddAnswer]] = {
    "refusal": stream({"refusal": "I can't help"}, {"refusal": " with that."}),
    "refusal-beside-null": stream({"content": None, "refusal": "I can't help with that."}),
    "refusal-after-text": stream({"content": "Well. "}, {"refusal": "I can't help with that."}),
    "refusal-part": stream({"content": [{"type": "refusal", "refusal": "I can't help with that."}]}),
    "reasoning-content": with_reasoning("reasoning_content", completion_tokens_details=DETAILS),
    "reasoning": with_reasoning("reasoning", completion_tokens_details=DETAILS),
    "reasoning-uncounted": with_reasoning("reasoning"),
    "reasoning-apart": with_reasoning("reasoning_content", total_tokens=18, completion_tokens_details=DETAILS),
    "reasoning-twice": stream(
        {"reasoning": "I think hard.", "reasoning_content": "I think hard."},
        {"content": "Forty-two."},
        usage={**USAGE, "reasoning_tokens": 3},
    ),
    "reasoning-parts": stream(
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "I think hard."}]}]},
        {"content": [{"type": "text", "text": "Forty-two."}]},
    ),
    "think-tags": stream(
        {"content": "<think>\nI think"}, {"content": " hard.\n</think>\n\n"}, {"content": "Forty-two."}
    ),
    "think-tags-in-pieces": stream(*({"content": each} for each in "<think>I think hard.</think>Forty-two.")),
    "think-tags-in-one-piece": stream({"content": "<think>I think hard.</think>Forty-two."}),
    "think-tags-open": stream({"content": "I think hard.\n</thi"}, {"content": "nk>Forty-two."}),
    "think-tags-empty": stream({"content": "<think>\n\n</think>\n\n"}, {"content": "Forty-two."}),
    "think-tags-then-call": stream(
        {"content": "<think>I think hard.</think>"},
        calls(called("one", ONE, index=0, id="call_a")),
        finish="tool_calls",
    ),
    "think-tags-not-streamed": whole({"role": "assistant", "content": "<think>I think hard.</think>Forty-two."}),
    "think-tags-json": stream({"content": "<think>I think hard.</think>\n"}, {"content": '{"city": "Oslo"}'}),
    "think-tags-cut": stream({"content": "<think>I th"}, {"content": "ink</th"}, finish="length"),
    "reasoning-then-call": stream(
        {"reasoning_content": "I think hard."}, calls(called("one", ONE, index=0, id="call_a")), finish="tool_calls"
    ),
    "reasoning-cut": stream({"reasoning_content": "I think"}, finish="length"),
    "prose": stream({"content": "Oslo, of course."}),
    "half-json": stream({"content": '{"city": "Os'}),
    "other-json": stream({"content": '{"town": "Oslo"}'}),
    "fenced-json": stream({"content": '```json\n{"city": "Oslo"}\n```'}),
    "cut-json": stream({"content": '{"city": "Os'}, finish="length"),
    "json": stream({"content": '{"city": "Oslo"}'}),
}

ERRORS: Final[Mapping[str, OddAnswer]] = {
    "refused-schema": refused(400, {"error": {"message": "Invalid schema: no type in 'city'", "code": 400}}),
    "refused-detail": refused(422, {"detail": [{"loc": ["body"], "msg": "Invalid schema: no type in 'city'"}]}),
    "refused-text": refused(400, "Invalid schema: no type in 'city'\x07\x1b[0m\n", "text/plain"),
    "error-in-stream": OddAnswer(
        chunks=(chunk({"content": "Half"}), line({"error": {"message": "CUDA out of memory", "code": 500}}))
    ),
    "login-page": refused(200, "<html><body><h1>Sign in</h1></body></html>", "text/html"),
}

ANSWERS: Final[Mapping[str, OddAnswer]] = {**CALLS, **ENDS, **WORDS, **ERRORS}
"""The answers by name."""
