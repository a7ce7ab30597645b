"""How long was an invocation of Lambda, by the service's own bill?

The end of the function's log, which the caller may ask for, contains the report of the invocation: `Billed Duration`,
or `billedDurationMs` where the log is JSON.
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from copy import replace
from typing import Final

from clients.backends.chat_stream import ChatStreamParser
from clients.backends.port import AnswerEnd, TextPiece
from domain.fleet.catalog import FinishReason

LOG_TAIL: Final[Mapping[str, str]] = {"x-amz-log-type": "Tail"}
LOG_RESULT: Final = "x-amz-log-result"
BILLED: Final = re.compile(rb'(?:Billed Duration: |"billedDurationMs":\s*)(\d{1,9}(?:\.\d{1,9})?)')
MARK: Final = b"billed-ms:"
"""Begins the frame that carries the figure; no frame of a function does, for each of those is JSON."""


def billed_frames(log: str) -> list[bytes]:
    """Return a frame with the figure of the last report in a log, which is base64; none where there is no report."""
    try:
        found = BILLED.findall(b64decode(log))
    except ValueError:
        return []
    return [MARK + found[-1]] if found else []


class BilledChatParser(ChatStreamParser):
    """Parses an answer that the figure may follow."""

    def __init__(self, finish_reasons: Mapping[str, FinishReason]) -> None:
        super().__init__(finish_reasons)
        self.billed_s: float | None = None

    def read(self, data: bytes) -> Sequence[TextPiece]:
        if not data.startswith(MARK):
            return super().read(data)
        self.billed_s = float(data.removeprefix(MARK)) / 1000
        return ()

    def end(self) -> AnswerEnd:
        return replace(super().end(), billed_s=self.billed_s)
