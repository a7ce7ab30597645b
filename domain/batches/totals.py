"""How many lines of a batch have ended, and what have they used?"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from domain.log.events import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTotals:
    """The lines that ended with an answer and without one, and the tokens of their turns."""

    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "BatchTotals") -> "BatchTotals":
        names = [each.name for each in fields(self)]
        return BatchTotals(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def to_document(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(**{each.name: body[each.name] for each in fields(cls)})

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
