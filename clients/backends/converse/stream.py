"""What do the frames of a Converse stream add up to?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from clients.backends.chat_stream import REASON_WORD, with_reasoning
from clients.backends.formats.decoders import MALFORMED
from clients.backends.port import AnswerEnd, BackendError, Channel, TextPiece
from clients.backends.tool_calls import ToolCallCollector, text_of
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.log.events import TokenUsage

REASONS: Final[Mapping[str, Literal["stop", "length", "content_filter"]]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""The stop reasons that end an answer. Every other one is a failure."""

STATUSES: Final[Mapping[str, int]] = {
    "internalServerException": 500,
    "modelStreamErrorException": 424,
    "modelTimeoutException": 408,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
"""The status that each exception in mid-stream has where it comes before the stream."""


class ConverseStreamParser:
    """Parses the frames of one answer. Padding is left out, like reasoning that is encrypted."""

    def __init__(self) -> None:
        self.text_received = False
        self.reason = ""
        self.usage: TokenUsage | None = None
        self.reasoning_pieces = 0
        self.calls = ToolCallCollector()

    @property
    def has_finish_reason(self) -> bool:
        return bool(self.reason)

    @property
    def is_over(self) -> bool:
        """Tell whether the usage has arrived, which is the last event."""
        return bool(self.reason) and self.usage is not None

    def read(self, data: bytes) -> Sequence[TextPiece]:
        """Parse one frame and return its texts. Raises BackendError for an exception or a malformed frame."""
        try:
            ((kind, payload),) = json.loads(data).items()
            texts = [piece for piece in self.read_event(kind, payload) if piece.text]
        except MALFORMED as error:
            raise self.malformed(data) from error
        self.text_received = self.text_received or bool(texts)
        self.reasoning_pieces += sum(piece.channel is Channel.REASONING for piece in texts)
        return texts

    def read_event(self, kind: str, payload: Mapping[str, Any]) -> Sequence[TextPiece]:
        match kind:
            case "contentBlockStart":
                self.add_call(payload, id_field="toolUseId", part=payload["start"].get("toolUse"))
            case "contentBlockDelta":
                delta: Mapping[str, Any] = payload["delta"]
                self.add_call(payload, id_field="", part=delta.get("toolUse"))
                reasoning = text_of(delta.get("reasoningContent") or {}, "text")
                return (
                    TextPiece(text=reasoning, channel=Channel.REASONING),
                    TextPiece(text=text_of(delta, "text")),
                )
            case "messageStop":
                self.reason = text_of(payload, "stopReason")
            case "metadata":
                self.usage = usage_in(payload["usage"])
            case "exception":
                raise self.failed(text_of(payload, "type"))
            case _:
                pass
        return ()

    def add_call(self, payload: Mapping[str, Any], *, id_field: str, part: Mapping[str, Any] | None) -> None:
        if part is not None:
            function = {"name": text_of(part, "name"), "arguments": text_of(part, "input")}
            self.calls.add([{"index": payload["contentBlockIndex"], "id": part.get(id_field), "function": function}])

    def end(self) -> AnswerEnd:
        """Return how the answer ended. Raises BackendError where the server did not say, or says that it failed."""
        if not self.reason:
            raise BackendError(Failure(kind=FailureKind.TRUNCATED, text_received=self.text_received))
        reason = REASONS.get(self.reason)
        if reason is None:
            word = self.reason if REASON_WORD.fullmatch(self.reason) else ""
            failure = Failure(kind=FailureKind.FINISH_REASON, body=word, text_received=self.text_received)
            raise BackendError(failure)
        calls = self.calls.all_calls() if reason == "stop" else self.calls.whole_calls()
        usage = self.usage and with_reasoning(self.usage, self.reasoning_pieces)
        return AnswerEnd(reason=reason, usage=usage, calls=calls, is_calling=self.calls.have_begun)

    def failed(self, name: str) -> BackendError:
        """Return the failure for an exception in mid-stream, with the status that it has before a stream."""
        headers = {"x-amzn-errortype": name}
        status = STATUSES.get(name, 500)
        return BackendError(
            Failure(kind=FailureKind.STATUS, status=status, headers=headers, text_received=self.text_received)
        )

    def malformed(self, data: bytes) -> BackendError:
        body = data[:BODY_CHARACTERS].decode(errors="replace")
        return BackendError(Failure(kind=FailureKind.BAD_FRAME, body=body, text_received=self.text_received))


def usage_in(usage: Mapping[str, Any]) -> TokenUsage:
    """Return the token counts. Converse counts cached tokens apart from the input; here the input includes them."""
    read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    return TokenUsage(
        input_tokens=int(usage["inputTokens"]) + int(read) + int(written),
        cached_tokens=int(read),
        output_tokens=int(usage["outputTokens"]),
        written_tokens=int(written),
    )
