"""What do the frames of an answer say whose form the fleet file gives?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from clients.backends.chat_stream import CUT_REASONS, complete_characters, known_reason
from clients.backends.formats.decoders import MALFORMED
from clients.backends.port import AnswerEnd, BackendError, TextPiece
from domain.fleet.catalog import FinishReason
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind
from domain.fleet.request_forms import PromptFormat
from domain.log.events import TokenUsage

UNDECIDED: Final = ("", "None")
"""What servers say in place of a finish reason while the answer goes on; `None` is Triton's vLLM backend."""


class PromptAnswerParser:
    """Parses the frames of one answer. An answer whose server names no finish reason ends well where its body ends."""

    def __init__(self, form: PromptFormat, finish_reasons: Mapping[str, FinishReason]) -> None:
        self.form = form
        self.finish_reasons = finish_reasons
        self.text_received = False
        self.frames = 0
        self.reason = ""
        self.half = ""
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None

    @property
    def has_finish_reason(self) -> bool:
        return bool(self.reason)

    @property
    def is_over(self) -> bool:
        return False

    def read(self, data: bytes) -> Sequence[TextPiece]:
        """Parse one frame and return its text. Raises BackendError where it is an error or has no text."""
        try:
            text = self.read_frame(json.loads(data))
        except MALFORMED as error:
            raise self.malformed(data) from error
        self.frames += 1
        self.text_received = self.text_received or bool(text)
        complete, self.half = complete_characters(self.half + text)
        return [TextPiece(text=complete)] if complete else []

    def read_frame(self, frame: Any) -> str:
        if found_at("/error", frame):
            raise ValueError("the server reports an error in place of an answer")
        text = found_at(self.form.answer, frame)
        if not isinstance(text, str):
            raise TypeError("the answer has no text where the fleet file says")
        reason = found_at(self.form.finish_reason, frame)
        self.reason = reason if isinstance(reason, str) and reason not in UNDECIDED else self.reason
        self.input_tokens = count_at(self.form.input_tokens, frame, self.input_tokens)
        if (written := count_at(self.form.output_tokens, frame, None)) is not None:
            self.output_tokens = (self.output_tokens or 0) + written
        return text

    def end(self) -> AnswerEnd:
        """Return how the answer ended. Raises BackendError where there is none, or where it ended by a failure."""
        if not self.frames:
            raise BackendError(Failure(kind=FailureKind.TRUNCATED))
        if not self.reason and self.form.finish_reason and self.output_tokens is not None:
            raise BackendError(Failure(kind=FailureKind.TRUNCATED, text_received=self.text_received))
        reason = self.finish_reasons.get(self.reason) or known_reason(self.reason or FinishReason.STOP)
        if reason is None:
            raise BackendError(Failure(kind=FailureKind.FINISH_REASON, text_received=self.text_received))
        return AnswerEnd(reason=CUT_REASONS.get(reason, "stop"), usage=self.usage())

    def usage(self) -> TokenUsage | None:
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return TokenUsage(input_tokens=self.input_tokens, output_tokens=self.output_tokens)

    def malformed(self, data: bytes) -> BackendError:
        body = data[:BODY_CHARACTERS].decode(errors="replace")
        return BackendError(Failure(kind=FailureKind.BAD_FRAME, body=body, text_received=self.text_received))


def count_at(pointer: str, frame: Any, default: int | None) -> int | None:
    found = found_at(pointer, frame)
    return found if type(found) is int and found >= 0 else default


def found_at(pointer: str, frame: Any) -> Any:
    """Return what a JSON pointer names; None where there is nothing. A text on its way is read as JSON."""
    found = frame
    for step in pointer.split("/")[1:]:
        if isinstance(found, str):
            found = json.loads(found)
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            elements = cast("list[Any]", found)
            found = elements[int(name)] if name.isdecimal() and int(name) < len(elements) else None
        else:
            found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    return found if pointer else None
