"""What do the frames of a Chat Completions stream add up to?"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clients.backends.port import AnswerEnd, BackendError
from domain.content.tools import FunctionCall
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.log.events import TokenUsage

NONSENSE = (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError)


class ChatStreamParser:
    """Reads the frames of one answer, whatever they hold, and remembers what its end needs."""

    def __init__(self) -> None:
        self.text_received = False
        self.reason: str | None = None
        self.usage: TokenUsage | None = None
        self.half = ""
        self.calls: dict[int, FunctionCall] = {}

    @property
    def whole(self) -> bool:
        """Tell whether the server has said why the answer ends; only its usage can follow."""
        return self.reason is not None

    def read(self, data: bytes) -> str:
        """Take one frame and return its text; raises BackendError where it is no frame of an answer."""
        try:
            said = self.read_frame(json.loads(data))
        except NONSENSE as error:
            raise self.malformed(data) from error
        self.text_received = self.text_received or bool(said)
        text, self.half = whole_characters(self.half + said)
        return text

    def read_frame(self, frame: dict[str, Any]) -> str:
        if frame.get("error"):
            raise ValueError("the server reports an error in mid-stream")
        self.usage = usage_in(frame.get("usage")) or self.usage
        choices: list[dict[str, Any]] = frame.get("choices") or []
        if not choices:
            return ""
        self.reason = text_in(choices[0], "finish_reason") or self.reason
        delta: dict[str, Any] = choices[0].get("delta") or {}
        for place, part in enumerate(delta.get("tool_calls") or ()):
            index = int(part.get("index") or place)
            self.calls[index] = call_with(self.calls.get(index), part)
        return text_in(delta, "content")

    def end(self) -> AnswerEnd:
        if self.reason is None:
            raise BackendError(Failure(kind=FailureKind.TRUNCATED, text_received=self.text_received))
        calls = tuple(self.calls[index] for index in sorted(self.calls))
        if self.reason in ("length", "content_filter"):
            reason = "length" if self.reason == "length" else "content_filter"
            return AnswerEnd(reason=reason, usage=self.usage, calls=tuple(filter(is_whole, calls)))
        return AnswerEnd(reason="stop", usage=self.usage, calls=calls)

    def malformed(self, data: bytes) -> BackendError:
        body = data[:BODY_CHARACTERS].decode(errors="replace")
        return BackendError(Failure(kind=FailureKind.BAD_FRAME, body=body, text_received=self.text_received))


def call_with(call: FunctionCall | None, part: Mapping[str, Any]) -> FunctionCall:
    """Return a call with what one more frame tells of it."""
    known = call or FunctionCall(name="", arguments="")
    told = dict(part.get("function") or {})
    return replace(
        known,
        call_id=known.call_id or text_in(dict(part), "id"),
        name=known.name or text_in(told, "name"),
        arguments=known.arguments + text_in(told, "arguments"),
    )


def is_whole(call: FunctionCall) -> bool:
    try:
        json.loads(call.arguments)
    except ValueError:
        return False
    return True


def text_in(body: dict[str, Any], name: str) -> str:
    text = body.get(name)
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{name} is no text")
    return text or ""


def whole_characters(text: str) -> tuple[str, str]:
    """Return what can be written of a text and the half character at its end that the next frame completes.

    JSON may tell a character in two halves, and a server may send each in a frame of its own.
    """
    if text.isascii():
        return text, ""
    half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    whole = text.removesuffix(half)
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), half


def usage_in(counted: dict[str, Any] | None) -> TokenUsage | None:
    """Return the tokens that a frame counts; one that leaves out or garbles a number counts none."""
    if not counted:
        return None
    details: dict[str, Any] = counted.get("prompt_tokens_details") or {}
    numbers = (counted.get("prompt_tokens"), counted.get("completion_tokens"), details.get("cached_tokens") or 0)
    match numbers:
        case (int(asked), int(said), int(cached)) if min(numbers) >= 0:
            return TokenUsage(input_tokens=asked, cached_tokens=min(cached, asked), output_tokens=said)
        case _:
            return None
