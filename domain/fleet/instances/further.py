"""Which instances of a backend does the product count beside the first one? Times are seconds since the epoch."""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from typing import Any, Final, Self

from msgspec import Struct

CLAIM_S: Final = 90.0
"""Setting a count takes less. A claim that is older belongs to a process that died."""


class GrowthReason(Struct, frozen=True, kw_only=True):
    """Why the count was raised, from `before` instances to `after`; amounts are dollars.

    `spent` is the rental spend of the first of them, `saved` the waiting that it saves, and `price` that of a session.
    """

    reason: str
    before: int = 0
    after: int = 0
    spent: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    price: Decimal = Decimal(0)

    def to_document(self) -> dict[str, Any]:
        amounts = {"spent": f"{self.spent:f}", "saved": f"{self.saved:f}", "price": f"{self.price:f}"}
        return {"reason": self.reason, "before": self.before, "after": self.after, **amounts}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        amounts = {name: Decimal(body[name]) for name in ("spent", "saved", "price")}
        return cls(reason=body["reason"], before=body["before"], after=body["after"], **amounts)


class FurtherInstance(Struct, frozen=True, kw_only=True):
    """An instance that the turn `by` has asked for, at the time `since`.

    `is_set`: the count that includes it was set. Until then it is a claim, which keeps other turns from asking for the
    same instance. `used_at` is when the others had last no room for all requests. `why` is known of those that the
    product has asked for.
    """

    by: str
    since: float
    is_set: bool = False
    used_at: float = 0.0
    why: GrowthReason | None = None

    def is_lost(self, now: float) -> bool:
        """Return whether the process that has claimed it died before its count was set."""
        return not self.is_set and now >= self.since + CLAIM_S

    def is_up(self, now: float, start_s: float) -> bool:
        """Return whether it is ready for requests, after a start of `start_s` seconds."""
        return self.is_set and now >= self.since + start_s

    def idle_since(self, start_s: float) -> float:
        """Return since when it has had nothing to do."""
        return max(self.since + start_s, self.used_at)

    def to_document(self) -> dict[str, Any]:
        why = {"why": self.why.to_document()} if self.why else {}
        return {"by": self.by, "since": self.since, "set": self.is_set, "used_at": self.used_at, **why}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        why = GrowthReason.from_document(body["why"]) if body.get("why") else None
        return cls(by=body["by"], since=body["since"], is_set=body["set"], used_at=body["used_at"], why=why)


class FurtherPause(Struct, frozen=True, kw_only=True):
    """No further instance is asked for until then: so many calls in a row have failed."""

    until: float
    tries: int

    def to_document(self) -> dict[str, Any]:
        return {"until": self.until, "tries": self.tries}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(until=body["until"], tries=body["tries"])


def used(further: tuple[FurtherInstance, ...], *, needed: int, now: float) -> tuple[FurtherInstance, ...]:
    """Return the instances after so many were seen to be needed at once: those before one have no room for all."""
    if not further or needed <= 1:
        return further
    return tuple(
        replace(each, used_at=max(each.used_at, now)) if needed > number else each
        for number, each in enumerate(further, start=1)
    )
