"""What is kept of a decision about the GPU of a turn whose calls run?

Its document has the decision from the beginning. The times at which it was carried out follow.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Self

from msgspec import Struct

from domain.tools.pauses.tool_pause import ToolPause


class PauseRecord(Struct, frozen=True, kw_only=True):
    """The decision of a round for its calls, by the ids of their items. Times are seconds since the epoch.

    `released_at` and `started_at` are set when that has been done; a decision that came too late is never done.
    """

    round: int
    calls: tuple[str, ...]
    backend: str
    at: float
    decided: ToolPause
    released_at: float | None = None
    started_at: float | None = None

    @property
    def ends_at(self) -> float | None:
        """Return when a GPU that was released ends."""
        return None if self.released_at is None else self.released_at + self.decided.stays_s

    @property
    def starts_at(self) -> float | None:
        return None if self.decided.starts_in_s is None else self.at + self.decided.starts_in_s

    def to_document(self) -> dict[str, Any]:
        decided = self.decided
        return {
            "kind": "gpu_pause",
            "v": 1,
            "at": self.at,
            "round": self.round,
            "calls": list(self.calls),
            "backend": self.backend,
            "releases": decided.releases,
            "stays_s": decided.stays_s,
            "starts_in_s": decided.starts_in_s,
            "saved": str(decided.saved),
            "waiting": str(decided.waiting),
            "lateness": str(decided.lateness),
            "reason": decided.reason,
            "released_at": self.released_at,
            "started_at": self.started_at,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        decided = ToolPause(
            releases=body["releases"],
            stays_s=body["stays_s"],
            starts_in_s=body["starts_in_s"],
            saved=Decimal(body["saved"]),
            waiting=Decimal(body["waiting"]),
            lateness=Decimal(body["lateness"]),
            reason=body["reason"],
        )
        return cls(
            round=body["round"],
            calls=tuple(body["calls"]),
            backend=body["backend"],
            at=body["at"],
            decided=decided,
            released_at=body["released_at"],
            started_at=body["started_at"],
        )
