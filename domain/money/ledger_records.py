"""What is held for a turn, and what did each attempt cost?

Amounts are Decimal US dollars, stored as decimal strings; counters that a store adds up are whole nano-dollars, which a
double holds exactly up to nine million dollars.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from domain.log.events import TokenUsage
from domain.money.overheads import OverheadCost

NANOS = Decimal(10) ** 9
NO_OVERHEAD = OverheadCost()
NO_LINES: Mapping[str, Decimal] = MappingProxyType({})
NO_SHARES: "Mapping[str, SessionShare]" = MappingProxyType({})


def nanos(amount: Decimal) -> int:
    """Return an amount of dollars in whole nano-dollars, rounded half to even."""
    return int((amount * NANOS).to_integral_value())


class ReservationStatus(StrEnum):
    OPEN = "open"
    SETTLED = "settled"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The worst case of a turn's cost, held from before the turn exists until it is settled. One per response.

    `cost` is what its attempts cost when it was settled, `overhead` what the store and the functions did, stored in
    whole nano-dollars: what it costs to answer requests about the turn is added to it at any time.
    """

    response: str
    subject: str
    amount: Decimal
    at: float
    status: ReservationStatus = ReservationStatus.OPEN
    cost: Decimal | None = None
    closed_at: float | None = None
    overhead: OverheadCost = NO_OVERHEAD

    @property
    def id(self) -> str:
        return reservation_id(self.response)

    def settled(self, *, cost: Decimal, at: float, overhead: OverheadCost = NO_OVERHEAD) -> "Reservation":
        known = self.overhead.plus(overhead)
        return replace(self, status=ReservationStatus.SETTLED, cost=cost, closed_at=at, overhead=known)

    def released(self, *, at: float) -> "Reservation":
        return replace(self, status=ReservationStatus.RELEASED, cost=Decimal(0), closed_at=at)

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "reservation",
            "v": 1,
            "status": self.status.value,
            "at": self.at,
            "response": self.response,
            "subject": self.subject,
            "amount": str(self.amount),
            "cost": None if self.cost is None else str(self.cost),
            "closed_at": self.closed_at,
            "store": nanos(self.overhead.store),
            "functions": nanos(self.overhead.functions),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            response=body["response"],
            subject=body["subject"],
            amount=Decimal(body["amount"]),
            at=body["at"],
            status=ReservationStatus(body["status"]),
            cost=None if body["cost"] is None else Decimal(body["cost"]),
            closed_at=body["closed_at"],
            overhead=OverheadCost(
                store=Decimal(body.get("store", 0)) / NANOS,
                functions=Decimal(body.get("functions", 0)) / NANOS,
            ),
        )


def reservation_id(response: str) -> str:
    return f"reservation_{response}"


class AttemptStatus(StrEnum):
    """Provisional: it has ended, and the session that it took part in has not."""

    OPEN = "open"
    PROVISIONAL = "provisional"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionShare:
    """What an attempt pays of one session of a GPU, in dollars; final when the session is closed."""

    lines: Mapping[str, Decimal]
    final: bool = False

    def to_document(self) -> dict[str, Any]:
        return {"final": self.final, "lines": amounts_to_document(self.lines)}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(lines=amounts_from_document(body["lines"]), final=body["final"])


def amounts_to_document(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {str(name): str(amount) for name, amount in amounts.items()}


def amounts_from_document(body: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in body.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One call to one backend. `number` counts from 1 within the response; `deliveries` counts its activity's runs.

    Times are seconds since the epoch; `reserved` is charged where the attempt never closed: each of its runs holds the
    worst case anew. `counters` are the ids of the budgets that it counts in. `lines` tells what its cost is for,
    `shares` what of it is for which session. `prompt_tokens` is what its prompt is estimated at. Number 0 is not a call
    but the wakes of a turn.
    """

    response: str
    subject: str
    number: int
    backend: str
    price: str
    reserved: Decimal
    started_at: float
    status: AttemptStatus = AttemptStatus.OPEN
    deliveries: int = 1
    first_token_at: float | None = None
    ended_at: float | None = None
    usage: TokenUsage | None = None
    cost: Decimal | None = None
    result: str = ""
    reason: str = ""
    counters: tuple[str, ...] = ()
    model: str = ""
    conversation: str = ""
    prompt_tokens: int = 0
    lines: Mapping[str, Decimal] = NO_LINES
    shares: Mapping[str, SessionShare] = NO_SHARES

    @property
    def id(self) -> str:
        return f"{attempt_prefix(self.response)}{self.number:03d}"

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "attempt",
            "v": 1,
            "status": self.status.value,
            "at": self.started_at,
            "response": self.response,
            "subject": self.subject,
            "number": self.number,
            "backend": self.backend,
            "price": self.price,
            "reserved": str(self.reserved),
            "deliveries": self.deliveries,
            "first_token_at": self.first_token_at,
            "ended_at": self.ended_at,
            "usage": self.usage.to_document() if self.usage else None,
            "cost": None if self.cost is None else str(self.cost),
            "result": self.result,
            "reason": self.reason,
            "counters": list(self.counters),
            "model": self.model,
            "conversation": self.conversation,
            "prompt_tokens": self.prompt_tokens,
            "lines": amounts_to_document(self.lines),
            "shares": {name: share.to_document() for name, share in self.shares.items()},
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            response=body["response"],
            subject=body["subject"],
            number=body["number"],
            backend=body["backend"],
            price=body["price"],
            reserved=Decimal(body["reserved"]),
            started_at=body["at"],
            status=AttemptStatus(body["status"]),
            deliveries=body["deliveries"],
            first_token_at=body["first_token_at"],
            ended_at=body["ended_at"],
            usage=TokenUsage.from_document(body["usage"]) if body["usage"] else None,
            cost=None if body["cost"] is None else Decimal(body["cost"]),
            result=body["result"],
            reason=body["reason"],
            counters=tuple(body.get("counters", ())),
            model=body.get("model", ""),
            conversation=body.get("conversation", ""),
            prompt_tokens=body.get("prompt_tokens", 0),
            lines=amounts_from_document(body.get("lines", {})),
            shares={name: SessionShare.from_document(share) for name, share in body.get("shares", {}).items()},
        )


def attempt_prefix(response: str) -> str:
    return f"attempt_{response}_"


def opened_again(before: AttemptRecord, worst: Decimal) -> AttemptRecord:
    """Return the record of an attempt that runs once more: to what it cost or holds, its worst case is added."""
    owed = before.reserved if before.status is AttemptStatus.OPEN else before.cost or Decimal(0)
    deliveries = before.deliveries + 1
    return replace(
        before, status=AttemptStatus.OPEN, reserved=owed + worst, cost=None, lines=NO_LINES, deliveries=deliveries
    )


def turn_cost(attempts: tuple[AttemptRecord, ...]) -> Decimal:
    """Return what the attempts cost together; one that never closed counts at its reservation."""
    return sum((attempt.reserved if attempt.cost is None else attempt.cost for attempt in attempts), Decimal(0))


def with_shares(attempt: AttemptRecord, shares: Mapping[str, SessionShare]) -> AttemptRecord:
    """Return an attempt's record with shares of sessions, and where it has ended with the cost that follows.

    A share that is final stays as it is.
    """
    final = {name: share for name, share in attempt.shares.items() if share.final}
    known = {**attempt.shares, **shares, **final}
    if attempt.status is AttemptStatus.OPEN or not known:
        return replace(attempt, shares=known)
    parts = [part for share in known.values() for part in share.lines.items()]
    lines = {name: sum((amount for line, amount in parts if line == name), Decimal(0)) for name, _ in parts}
    over = all(share.final for share in known.values())
    status = AttemptStatus.CLOSED if over else AttemptStatus.PROVISIONAL
    return replace(attempt, status=status, shares=known, lines=lines, cost=sum(lines.values(), Decimal(0)))
