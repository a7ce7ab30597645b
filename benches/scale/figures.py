"""Which figures does a run of this benchmark have?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from benches.scale.metered_store import MeteredStore

CHECK_CALLS = 1
"""The benchmark itself reads each response once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleFigures:
    """The turns of all workers, the seconds they took together, and the calls and conflicts of their stores."""

    turns: int
    seconds: float
    calls: int
    conflicts: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def turns_per_s(self) -> float:
        return self.turns / self.seconds

    @property
    def calls_per_turn(self) -> float:
        return self.calls / self.turns - CHECK_CALLS

    @property
    def conflicts_per_turn(self) -> float:
        return sum(self.conflicts.values()) / self.turns

    @classmethod
    def of(cls, stores: Iterable[MeteredStore], *, turns: int, seconds: float) -> Self:
        conflicts, calls = Counter[str](), 0
        for store in stores:
            conflicts += store.conflicts
            calls += store.calls.total()
        return cls(turns=turns, seconds=seconds, calls=calls, conflicts=dict(conflicts))

    @classmethod
    def together(cls, parts: Iterable[Mapping[str, Any]]) -> Self:
        """Return the figures of processes that ran at the same time, from their documents."""
        all_parts, conflicts = list(parts), Counter[str]()
        for part in all_parts:
            conflicts.update(part["conflicts"])
        return cls(
            turns=sum(part["turns"] for part in all_parts),
            seconds=max(part["seconds"] for part in all_parts),
            calls=sum(part["calls"] for part in all_parts),
            conflicts=dict(conflicts),
        )

    def to_document(self) -> dict[str, Any]:
        return {
            "turns": self.turns,
            "seconds": self.seconds,
            "calls": self.calls,
            "conflicts": dict(self.conflicts),
        }
