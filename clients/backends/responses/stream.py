"""What do the events of a Responses stream add up to?

An answer that arrives as a whole is read like the last event of a stream. Reasoning is left out: it is neither shown
nor stored.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from clients.backends.chat_stream import complete_characters
from clients.backends.formats.decoders import MALFORMED
from clients.backends.port import AnswerEnd, BackendError, Channel, TextPiece
from clients.backends.tool_calls import ToolCallCollector, text_of
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.log.events import TokenUsage

TEXTS: Final[Mapping[str, Channel]] = {
    "response.output_text.delta": Channel.ANSWER,
    "response.refusal.delta": Channel.REFUSAL,
}
PARTS: Final[Mapping[str, tuple[Channel, str]]] = {
    "output_text": (Channel.ANSWER, "text"),
    "refusal": (Channel.REFUSAL, "refusal"),
}
CUTS: Final[Mapping[str, Literal["length", "content_filter"]]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
STATUSES: Final[Mapping[str, int]] = {"server_error": 500, "rate_limit_exceeded": 429, "vector_store_timeout": 500}
"""The status of an error in mid-stream, by its code. Every other code says that the request is wrong."""


class ResponsesStreamParser:
    """Parses the events of one answer."""

    def __init__(self) -> None:
        self.text_received = False
        self.response: Mapping[str, Any] = {}
        self.usage: TokenUsage | None = None
        self.calls = ToolCallCollector()
        self.half = dict.fromkeys(Channel, "")

    @property
    def has_finish_reason(self) -> bool:
        return bool(self.response)

    @property
    def is_over(self) -> bool:
        """Tell whether nothing can follow."""
        return bool(self.response)

    def read(self, data: bytes) -> Sequence[TextPiece]:
        """Parse one event and return its texts. Raises BackendError for an error or a malformed event."""
        try:
            texts = [(channel, text) for channel, text in self.read_event(json.loads(data)) if text]
        except MALFORMED as error:
            raise self.malformed(data) from error
        self.text_received = self.text_received or bool(texts)
        pieces = [TextPiece(text=self.complete(channel, text), channel=channel) for channel, text in texts]
        return [piece for piece in pieces if piece.text]

    def complete(self, channel: Channel, text: str) -> str:
        complete, self.half[channel] = complete_characters(self.half[channel] + text)
        return complete

    def read_event(self, event: Mapping[str, Any]) -> Iterator[tuple[Channel, str]]:
        if event.get("object") == "response":
            yield from self.read_output(event["output"])
            self.finish(event)
            return
        match event["type"]:
            case "response.output_text.delta" | "response.refusal.delta" as kind:
                yield TEXTS[kind], text_of(event, "delta")
            case "response.output_item.done":
                self.add_call(event["item"], index=int(event["output_index"]))
            case "response.completed" | "response.incomplete" | "response.failed":
                self.finish(event["response"])
            case "error":
                raise self.failed(event)
            case _:
                pass

    def read_output(self, output: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Channel, str]]:
        for index, item in enumerate(output):
            self.add_call(item, index=index)
            for part in item.get("content") or () if item["type"] == "message" else ():
                channel, name = PARTS.get(part["type"], (Channel.ANSWER, ""))
                yield channel, text_of(part, name)

    def add_call(self, item: Mapping[str, Any], *, index: int) -> None:
        """Add a call. It counts when its item is done; the deltas of its arguments are not needed."""
        if item["type"] == "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            self.calls.add([{"index": index, "id": item["call_id"], "function": function}])

    def finish(self, response: Mapping[str, Any]) -> None:
        if response["status"] == "failed":
            raise self.failed(response.get("error") or {})
        self.response = response
        self.usage = usage_in(response.get("usage") or {})

    def end(self) -> AnswerEnd:
        """Return how the answer ended. Raises BackendError where the server did not say, or says that it failed."""
        if not self.response:
            raise BackendError(Failure(kind=FailureKind.TRUNCATED, text_received=self.text_received))
        if self.response["status"] == "completed":
            return AnswerEnd(reason="stop", usage=self.usage, calls=self.calls.all_calls())
        details: Mapping[str, Any] = self.response.get("incomplete_details") or {}
        reason = CUTS.get(str(details.get("reason")))
        if reason is None:
            raise BackendError(Failure(kind=FailureKind.FINISH_REASON, text_received=self.text_received))
        return AnswerEnd(
            reason=reason, usage=self.usage, calls=self.calls.whole_calls(), is_calling=self.calls.have_begun
        )

    def failed(self, error: Mapping[str, Any]) -> BackendError:
        """Return the failure for an error in mid-stream, with the status that its code has before a stream."""
        code = text_of(error, "code")
        body = json.dumps({"error": {"message": text_of(error, "message"), "code": code}})[:BODY_CHARACTERS]
        status = STATUSES.get(code, 400 if code else 500)
        return BackendError(
            Failure(kind=FailureKind.STATUS, status=status, body=body, text_received=self.text_received)
        )

    def malformed(self, data: bytes) -> BackendError:
        body = data[:BODY_CHARACTERS].decode(errors="replace")
        return BackendError(Failure(kind=FailureKind.BAD_FRAME, body=body, text_received=self.text_received))


def usage_in(usage: Mapping[str, Any]) -> TokenUsage | None:
    """Return the token counts; the input includes cached tokens, the output those of the reasoning.

    None where there are none, or one is below zero.
    """
    if not usage:
        return None
    read: Mapping[str, Any] = usage.get("input_tokens_details") or {}
    written: Mapping[str, Any] = usage.get("output_tokens_details") or {}
    found = TokenUsage(
        input_tokens=int(usage["input_tokens"]),
        cached_tokens=int(read.get("cached_tokens") or 0),
        output_tokens=int(usage["output_tokens"]),
        reasoning_tokens=int(written.get("reasoning_tokens") or 0),
        written_tokens=int(read.get("cache_write_tokens") or 0),
    )
    return found if min(found.input_tokens, found.output_tokens) >= 0 else None
