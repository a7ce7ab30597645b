"""How many lines of a batch have ended, and what have they used?"""

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct

from domain.log.events import TokenUsage


class BatchTotals(Struct, frozen=True, kw_only=True):
    """The lines that ended with an answer and without one, and the tokens of their turns."""

    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "BatchTotals") -> "BatchTotals":
        return BatchTotals(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    def to_document(self) -> dict[str, int]:
        return {
            "completed": self.completed,
            "failed": self.failed,
            "input_tokens": self.input_tokens,
            "cached_tokens": self.cached_tokens,
            "output_tokens": self.output_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            completed=body["completed"],
            failed=body["failed"],
            input_tokens=body["input_tokens"],
            cached_tokens=body["cached_tokens"],
            output_tokens=body["output_tokens"],
            reasoning_tokens=body["reasoning_tokens"],
        )

    @classmethod
    def of_line(cls, usage: TokenUsage | None, *, completed: bool) -> Self:
        used = usage or TokenUsage()
        return cls(
            completed=int(completed),
            failed=int(not completed),
            input_tokens=used.input_tokens,
            cached_tokens=used.cached_tokens,
            output_tokens=used.output_tokens,
            reasoning_tokens=used.reasoning_tokens,
        )
