"""What do the frames of a Chat Completions stream add up to?"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from clients.backends.port import AnswerEnd, BackendError
from clients.backends.tool_calls import ToolCallCollector, text_of
from domain.fleet.catalog import FinishReason
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.log.events import TokenUsage

MALFORMED: Final = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)
"""What reading a frame raises whose JSON or whose fields are not those of Chat Completions."""

CUT_REASONS: Final[Mapping[FinishReason, Literal["length", "content_filter"]]] = {
    FinishReason.LENGTH: "length",
    FinishReason.CONTENT_FILTER: "content_filter",
}
"""The finish reasons of an answer that the server cut off."""

REASON_WORD: Final = re.compile(r"[\w.:-]{1,64}")
"""A finish reason that is safe to quote; others are reported without their text."""


class ChatStreamParser:
    """Parses the frames of one answer. `finish_reasons` maps the server's own reasons to those of the API."""

    def __init__(self, finish_reasons: Mapping[str, FinishReason]) -> None:
        self.finish_reasons = finish_reasons
        self.text_received = False
        self.reason = ""
        self.usage: TokenUsage | None = None
        self.incomplete_character = ""
        self.calls = ToolCallCollector()

    @property
    def has_finish_reason(self) -> bool:
        """Tell whether the server has reported why the answer ends; only its usage can follow."""
        return bool(self.reason)

    def read(self, data: bytes) -> str:
        """Parse one frame and return its text. Raises BackendError where it is not a Chat Completions frame."""
        try:
            content = self.read_frame(json.loads(data))
        except MALFORMED as error:
            raise self.malformed(data) from error
        self.text_received = self.text_received or bool(content)
        text, self.incomplete_character = complete_characters(self.incomplete_character + content)
        return text

    def read_frame(self, frame: dict[str, Any]) -> str:
        if frame.get("error"):
            raise ValueError("the server reports an error in the middle of its stream")
        self.usage = usage_in(frame.get("usage")) or self.usage
        choices: list[dict[str, Any]] = frame.get("choices") or []
        if not choices:
            return ""
        self.reason = text_of(choices[0], "finish_reason") or self.reason
        delta: dict[str, Any] = choices[0].get("delta") or {}
        self.calls.add(call_parts(delta))
        return text_of(delta, "content")

    def end(self) -> AnswerEnd:
        """Return how the answer ended. Raises BackendError where the server did not say, or says that it failed."""
        if not self.reason:
            raise BackendError(Failure(kind=FailureKind.TRUNCATED, text_received=self.text_received))
        reason = self.finish_reasons.get(self.reason) or known_reason(self.reason)
        if reason is None:
            word = self.reason if REASON_WORD.fullmatch(self.reason) else ""
            failure = Failure(kind=FailureKind.FINISH_REASON, body=word, text_received=self.text_received)
            raise BackendError(failure)
        if cut := CUT_REASONS.get(reason):
            return AnswerEnd(reason=cut, usage=self.usage, calls=self.calls.whole_calls())
        return AnswerEnd(reason="stop", usage=self.usage, calls=self.calls.all_calls())

    def malformed(self, data: bytes) -> BackendError:
        body = data[:BODY_CHARACTERS].decode(errors="replace")
        return BackendError(Failure(kind=FailureKind.BAD_FRAME, body=body, text_received=self.text_received))


def call_parts(delta: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the parts of function calls in a delta; older servers send one call as `function_call`."""
    if function := delta.get("function_call"):
        return ({"index": 0, "function": function},)
    return delta.get("tool_calls") or ()


def known_reason(reason: str) -> FinishReason | None:
    return FinishReason(reason) if reason in FinishReason else None


def complete_characters(text: str) -> tuple[str, str]:
    """Return the text without a surrogate half at its end, and that half, which the next frame completes.

    JSON can encode a character as two halves, and a server may send each half in a frame of its own.
    """
    if text.isascii():
        return text, ""
    half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    complete = text.removesuffix(half)
    return complete.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), half


def usage_in(body: Mapping[str, Any] | None) -> TokenUsage | None:
    """Return the token counts of a frame; None where a count is missing or is not a number."""
    if not body:
        return None
    details: Mapping[str, Any] = body.get("prompt_tokens_details") or {}
    counts = (body.get("prompt_tokens"), body.get("completion_tokens"), details.get("cached_tokens") or 0)
    match counts:
        case (int(input_tokens), int(output_tokens), int(cached)) if min(counts) >= 0:
            cached_tokens = min(cached, input_tokens)
            return TokenUsage(input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens)
        case _:
            return None
