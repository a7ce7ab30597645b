"""How many lines of a batch have ended, and what have they used and cost?"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from domain.log.events import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTotals:
    """The lines that ended with an answer and without one, the tokens of their turns, and their cost.

    `cost` is in nano-dollars, as the turns were settled: what they pay of a GPU session may still change.
    """

    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0

    @property
    def lines(self) -> int:
        return self.completed + self.failed

    def __add__(self, other: "BatchTotals") -> "BatchTotals":
        names = [each.name for each in fields(self)]
        return BatchTotals(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def to_document(self) -> dict[str, int]:
        known = {each.name: getattr(self, each.name) for each in fields(self)}
        return known if self.cost else {name: count for name, count in known.items() if name != "cost"}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(**{each.name: body.get(each.name, 0) for each in fields(cls)})

    @classmethod
    def of_line(cls, usage: TokenUsage | None, *, completed: bool, cost: int = 0) -> Self:
        used = usage or TokenUsage()
        return cls(
            completed=int(completed),
            failed=int(not completed),
            input_tokens=used.input_tokens,
            cached_tokens=used.cached_tokens,
            output_tokens=used.output_tokens,
            reasoning_tokens=used.reasoning_tokens,
            cost=cost,
        )
