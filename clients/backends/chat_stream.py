"""What do the frames of a Chat Completions stream add up to?"""

import json
import re
from collections.abc import Mapping, Sequence
from copy import replace
from typing import Any, Final, Literal

from clients.backends.delta_texts import delta_texts
from clients.backends.formats.decoders import MALFORMED
from clients.backends.port import AnswerEnd, BackendError, Channel, TextPiece
from clients.backends.tool_calls import ToolCallCollector, text_of
from domain.fleet.catalog import FinishReason
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.log.events import TokenUsage
from domain.log.token_logprobs import TokenLogprob, logprobs_in, texts_of_tokens, tokens_covering

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
        self.reasoning_pieces = 0
        self.incomplete_characters = dict.fromkeys(Channel, "")
        self.calls = ToolCallCollector()
        self.logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def has_finish_reason(self) -> bool:
        """Tell whether the server has reported why the answer ends; only its usage can follow."""
        return bool(self.reason)

    @property
    def is_over(self) -> bool:
        """Return False: the usage may follow, and `[DONE]` ends the stream."""
        return False

    def read(self, data: bytes) -> Sequence[TextPiece]:
        """Parse one frame and return its texts. Raises BackendError where it is not a Chat Completions frame."""
        try:
            texts = [each for each in self.read_frame(json.loads(data)) if each[1]]
        except MALFORMED as error:
            raise self.malformed(data) from error
        self.text_received = self.text_received or bool(texts)
        pieces = [TextPiece(text=self.complete(channel, text), channel=channel) for channel, text in texts]
        self.reasoning_pieces += sum(piece.channel is Channel.REASONING for piece in pieces)
        shown = [piece for piece in pieces if piece.text]
        return self.with_logprobs(shown) if self.logprobs else shown

    def with_logprobs(self, pieces: Sequence[TextPiece]) -> Sequence[TextPiece]:
        """Return the pieces with the log probabilities of the answer's text, one piece for each of its tokens.

        Those of a token without text wait for the next frame: it is a part of a character. Those of reasoning and of
        calls are not kept.
        """
        scored: list[TextPiece] = []
        for piece in pieces:
            if piece.channel is not Channel.ANSWER:
                scored.append(piece)
                continue
            tokens = self.logprobs if len(pieces) == 1 else tokens_covering(self.logprobs, piece.text)
            parts = texts_of_tokens(piece.text, tokens)
            scored += [TextPiece(text=text, logprobs=logprobs) for text, logprobs in parts]
        if pieces or self.calls.have_begun:
            self.logprobs = ()
        return scored

    def complete(self, channel: Channel, text: str) -> str:
        """Return the whole characters of a text of this channel; half a character waits for the next frame."""
        complete, half = complete_characters(self.incomplete_characters[channel] + text)
        self.incomplete_characters[channel] = half
        return complete

    def read_frame(self, frame: dict[str, Any]) -> Sequence[tuple[Channel, str]]:
        if frame.get("error"):
            raise ValueError("the server reports an error in the middle of its stream")
        self.usage = usage_in(frame.get("usage")) or self.usage
        choices: list[dict[str, Any]] = frame.get("choices") or []
        if not choices:
            return ()
        self.reason = text_of(choices[0], "finish_reason") or self.reason
        delta: dict[str, Any] = choices[0].get("delta") or choices[0].get("message") or {}
        self.calls.add(call_parts(delta))
        self.logprobs += logprobs_in(choices[0])
        return tuple(delta_texts(delta))

    def end(self) -> AnswerEnd:
        """Return how the answer ended. Raises BackendError where the server did not say, or says that it failed."""
        if not self.reason:
            raise BackendError(Failure(kind=FailureKind.TRUNCATED, text_received=self.text_received))
        reason = self.finish_reasons.get(self.reason) or known_reason(self.reason)
        if reason is None:
            word = self.reason if REASON_WORD.fullmatch(self.reason) else ""
            failure = Failure(kind=FailureKind.FINISH_REASON, body=word, text_received=self.text_received)
            raise BackendError(failure)
        usage = self.usage and with_reasoning(self.usage, self.reasoning_pieces)
        if cut := CUT_REASONS.get(reason):
            return AnswerEnd(reason=cut, usage=usage, calls=self.calls.whole_calls(), is_calling=self.calls.have_begun)
        return AnswerEnd(reason="stop", usage=usage, calls=self.calls.all_calls())

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
    """Return the token counts of a frame; None where a count is missing or is not a number.

    Some servers leave the tokens of reasoning out of `completion_tokens`; their total shows it.
    """
    if not body:
        return None
    cached = detail_of(body, "prompt_tokens_details", "cached_tokens")
    reasoning = detail_of(body, "completion_tokens_details", "reasoning_tokens") or body.get("reasoning_tokens") or 0
    match body.get("prompt_tokens"), body.get("completion_tokens"), cached, reasoning:
        case (int(prompt), int(completion), int(cached), int(reasoning)) if (
            min(prompt, completion, cached, reasoning) >= 0
        ):
            is_apart = body.get("total_tokens") == prompt + completion + reasoning
            output = completion + reasoning if is_apart else completion
            return TokenUsage(
                input_tokens=prompt,
                cached_tokens=min(cached, prompt),
                output_tokens=output,
                reasoning_tokens=min(reasoning, output),
            )
        case _:
            return None


def detail_of(body: Mapping[str, Any], group: str, name: str) -> Any:
    details: Mapping[str, Any] = body.get(group) or {}
    return details.get(name) or 0


def with_reasoning(usage: TokenUsage, pieces: int) -> TokenUsage:
    """Return the counts, with one token for each piece of reasoning where the server did not count these."""
    counted = usage.reasoning_tokens or min(pieces, usage.output_tokens)
    return replace(usage, reasoning_tokens=counted)
