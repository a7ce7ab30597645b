"""What is one attempt charged: its reservation, its cost, and its shares of GPU sessions?

Amounts are Decimal US dollars and are stored as decimal strings.
"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from msgspec import Struct

NO_LINES: Mapping[str, Decimal] = MappingProxyType({})
NO_SHARES: "Mapping[str, SessionShare]" = MappingProxyType({})


class AttemptStatus(StrEnum):
    """PROVISIONAL: the attempt has ended, and its GPU session has not."""

    OPEN = "open"
    PROVISIONAL = "provisional"
    CLOSED = "closed"


class SessionShare(Struct, frozen=True, kw_only=True):
    """An attempt's share of one GPU session, in dollars by bill line; final when the session is closed.

    `unused`: it is the whole session of a warm-up, which answered nothing. `before` is what a final share was charged
    while it was provisional, in dollars; None where it was not. `is_estimate`: the session was inferred.
    """

    lines: Mapping[str, Decimal]
    final: bool = False
    unused: bool = False
    before: Decimal | None = None
    is_estimate: bool = False

    @property
    def amount(self) -> Decimal:
        return sum(self.lines.values(), Decimal(0))

    def to_document(self) -> dict[str, Any]:
        later: dict[str, Any] = {"unused": True} if self.unused else {}
        later |= {} if self.before is None else {"before": str(self.before)}
        later |= {"estimate": True} if self.is_estimate else {}
        return {"final": self.final, "lines": amounts_to_document(self.lines), **later}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            lines=amounts_from_document(body["lines"]),
            final=body["final"],
            unused=bool(body.get("unused", False)),
            before=Decimal(body["before"]) if "before" in body else None,
            is_estimate=bool(body.get("estimate", False)),
        )


class AttemptCharge(Struct, frozen=True, kw_only=True):
    """The money of one attempt.

    `reserved` is the worst case of all its runs; it is charged where the attempt never closes. `counters` are the ids
    of its budget counters. `lines` divides its cost by bill line, `shares` by GPU session. While the reservation of the
    later attempt `covered_by` holds its cost, an attempt costs nothing. `late` is what replaced runs reported when
    their worker woke, by the number of the run.
    """

    reserved: Decimal
    status: AttemptStatus = AttemptStatus.OPEN
    cost: Decimal | None = None
    counters: tuple[str, ...] = ()
    lines: Mapping[str, Decimal] = NO_LINES
    shares: Mapping[str, SessionShare] = NO_SHARES
    covered_by: int = 0
    late: Mapping[str, Decimal] = NO_LINES

    @property
    def is_open(self) -> bool:
        return self.status is AttemptStatus.OPEN

    @property
    def owed(self) -> Decimal:
        """The cost, or the reserved amount of an attempt that has not closed."""
        return self.reserved if self.cost is None else self.cost

    @property
    def unused(self) -> Mapping[str, Decimal]:
        """The part of its lines that warm-ups cost which answered nothing."""
        parts = [part for share in self.shares.values() if share.unused for part in share.lines.items()]
        lines = {name: sum((amount for line, amount in parts if line == name), Decimal(0)) for name, _ in parts}
        return {name: amount for name, amount in lines.items() if name in self.lines}

    @property
    def estimated(self) -> Decimal:
        """The part of its cost that is an estimate: its sessions were inferred."""
        if self.covered_by:
            return Decimal(0)
        return sum((share.amount for share in self.shares.values() if share.is_estimate), Decimal(0))

    def reopened(self, worst: Decimal) -> "AttemptCharge":
        """Return the charge of an attempt that runs again: the worst case is added to its cost or reservation."""
        owed = self.reserved if self.is_open else self.cost or Decimal(0)
        return replace(self, status=AttemptStatus.OPEN, reserved=owed + worst, cost=None, lines=NO_LINES)

    def closed(self, cost: Decimal, *, line: str) -> "AttemptCharge":
        return replace(self, status=AttemptStatus.CLOSED, cost=cost, lines={line: cost})

    def with_late_run(self, run: int, cost: Decimal, *, line: str) -> "AttemptCharge":
        """Return the charge with what a replaced run used beyond its text in the log, once for each run."""
        if not cost or str(run) in self.late or self.shares:
            return self
        return replace(self, late={**self.late, str(run): cost}).with_added(cost, line=line)

    def with_late_runs(self, late: Mapping[str, Decimal], *, line: str) -> "AttemptCharge":
        """Return the charge of the last run with what the replaced runs have reported before."""
        return replace(self, late=late).with_added(sum(late.values(), Decimal(0)), line=line)

    def with_added(self, cost: Decimal, *, line: str) -> "AttemptCharge":
        if self.cost is None or not cost:
            return self
        lines = {**self.lines, line: self.lines.get(line, Decimal(0)) + cost}
        return replace(self, cost=self.cost + cost, lines=lines)

    def lost(self, *, line: str, run: int) -> "AttemptCharge":
        """Return the charge of an attempt whose end was not recorded: it costs its reserved amount.

        Shares of GPU sessions that earlier runs left are kept; the rest becomes a share of no session.
        """
        known = sum((sum(share.lines.values()) for share in self.shares.values()), Decimal(0))
        rest: dict[str, Decimal] = {line: self.reserved - known}
        shares = {name: replace(share, final=True) for name, share in self.shares.items()}
        if shares:
            shares[f"lost/{run}"] = SessionShare(lines=rest, final=True)
        return replace(self, status=AttemptStatus.CLOSED, cost=self.reserved, lines=rest, shares=shares)

    def with_shares(self, shares: Mapping[str, SessionShare]) -> "AttemptCharge":
        """Return the charge with shares of GPU sessions and, where the attempt has ended, the cost that follows.

        A final share does not change.
        """
        final = {name: share for name, share in self.shares.items() if share.final}
        known = {**self.shares, **shares, **final}
        if self.is_open or not known:
            return replace(self, shares=known)
        parts = [part for share in known.values() for part in share.lines.items()]
        lines = {name: sum((amount for line, amount in parts if line == name), Decimal(0)) for name, _ in parts}
        over = all(share.final for share in known.values())
        status = AttemptStatus.CLOSED if over else AttemptStatus.PROVISIONAL
        if self.covered_by:
            return replace(self, status=status, shares=known, lines=NO_LINES, cost=Decimal(0))
        return replace(self, status=status, shares=known, lines=lines, cost=sum(lines.values(), Decimal(0)))

    def with_posted(self, session: str, share: SessionShare) -> "AttemptCharge | None":
        """Return the charge with the share of a session; None after the final one, which keeps the amount before it."""
        before = self.shares.get(session)
        if before and before.final:
            return None
        known = replace(share, before=before.amount) if share.final and before else share
        return self.with_shares({session: known})

    def can_be_covered_by(self, other: "AttemptCharge", session: str) -> bool:
        """Tell whether the reservation of a later attempt of the turn can hold this cost in a GPU session."""
        share = self.shares.get(session)
        if share is None or share.final or len(self.shares) > 1 or self.covered_by:
            return False
        return self.status is AttemptStatus.PROVISIONAL and self.counters == other.counters

    def covered(self, number: int) -> "AttemptCharge":
        """Return the charge while the reservation of the turn's attempt `number` holds the cost."""
        return replace(self, covered_by=number).with_shares({})

    def uncovered(self, session: str, most: Decimal | None) -> "AttemptCharge":
        """Return the charge after that attempt; it costs what it cost before, and at most that many dollars."""
        known = self.shares[session]
        lower = {} if known.final or most is None else {session: SessionShare(lines=limited(known.lines, most))}
        return replace(self, covered_by=0).with_shares(lower)

    def to_document(self) -> dict[str, Any]:
        """Return the document. A field of a later release is left out while it has no value."""
        later: dict[str, Any] = {"covered_by": self.covered_by} if self.covered_by else {}
        later |= {"late": amounts_to_document(self.late)} if self.late else {}
        return {
            "status": self.status.value,
            "reserved": str(self.reserved),
            "cost": None if self.cost is None else str(self.cost),
            "counters": list(self.counters),
            "lines": amounts_to_document(self.lines),
            "shares": {name: share.to_document() for name, share in self.shares.items()},
            **later,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            reserved=Decimal(body["reserved"]),
            status=AttemptStatus(body["status"]),
            cost=None if body["cost"] is None else Decimal(body["cost"]),
            counters=tuple(body.get("counters", ())),
            lines=amounts_from_document(body.get("lines", {})),
            shares={name: SessionShare.from_document(share) for name, share in body.get("shares", {}).items()},
            covered_by=body.get("covered_by", 0),
            late=amounts_from_document(body.get("late", {})),
        )


def limited(lines: Mapping[str, Decimal], most: Decimal) -> Mapping[str, Decimal]:
    """Return bill lines that add up to `most` dollars at most; the last lines give way first."""
    kept: dict[str, Decimal] = {}
    for name, amount in lines.items():
        kept[name] = min(amount, most - sum(kept.values(), Decimal(0)))
    return kept


def amounts_to_document(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {str(name): str(amount) for name, amount in amounts.items()}


def amounts_from_document(body: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in body.items()}
