"""How much is reserved for a turn, and how much did each attempt cost?

Amounts are Decimal US dollars and are stored as decimal strings. Counters that a store adds up are whole nano-dollars:
a double is exact up to nine million dollars.
"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct, field

from domain.ids import own_token
from domain.log.events import TokenUsage
from domain.money.attempt_charge import AttemptCharge, SessionShare
from domain.money.overheads import OverheadCost

NANOS = Decimal(10) ** 9
NO_OVERHEAD = OverheadCost()


def nanos(amount: Decimal) -> int:
    """Return an amount of dollars in whole nano-dollars, rounded half to even."""
    return int((amount * NANOS).to_integral_value())


class ReservationStatus(StrEnum):
    """The states of a reservation. That of a turn which waits for an approval is set aside: no sweep looks at it."""

    OPEN = "open"
    ASIDE = "aside"
    SETTLED = "settled"
    RELEASED = "released"


class Reservation(Struct, frozen=True, kw_only=True):
    """The worst case of a turn's cost, reserved before the turn exists and until it is settled. One per response.

    `cost` is the sum of its attempts when it was settled. `overhead` is the cost of the store and the functions; it is
    stored in whole nano-dollars, because later requests about the turn add to it. `origin` is what has started the
    turn, see `domain.money.usage`.
    """

    response: str
    subject: str
    amount: Decimal
    at: float
    status: ReservationStatus = ReservationStatus.OPEN
    cost: Decimal | None = None
    closed_at: float | None = None
    overhead: OverheadCost = NO_OVERHEAD
    origin: str = ""

    @property
    def id(self) -> str:
        return reservation_id(self.response)

    def settled(self, *, cost: Decimal, at: float, overhead: OverheadCost = NO_OVERHEAD) -> "Reservation":
        known = self.overhead.plus(overhead)
        return replace(self, status=ReservationStatus.SETTLED, cost=cost, closed_at=at, overhead=known)

    def with_status(self, status: ReservationStatus) -> "Reservation":
        return replace(self, status=status)

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
            **({"origin": self.origin} if self.origin else {}),
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
            origin=body.get("origin", ""),
        )


def reservation_id(response: str) -> str:
    return f"reservation_{response}"


class AttemptProgress(Struct, frozen=True, kw_only=True):
    """How far an attempt has come. `deliveries` counts the runs of its activity; times are seconds since the epoch.

    `opened_at` is when a backend that was not known to be warm accepted the request; None for a warm one.
    """

    deliveries: int = 1
    opened_at: float | None = None
    first_token_at: float | None = None
    ended_at: float | None = None
    usage: TokenUsage | None = None
    result: str = ""
    reason: str = ""

    def to_document(self) -> dict[str, Any]:
        return {
            "deliveries": self.deliveries,
            "first_token_at": self.first_token_at,
            "ended_at": self.ended_at,
            "usage": self.usage.to_document() if self.usage else None,
            "result": self.result,
            "reason": self.reason,
            **({} if self.opened_at is None else {"opened_at": self.opened_at}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            deliveries=body["deliveries"],
            opened_at=body.get("opened_at"),
            first_token_at=body["first_token_at"],
            ended_at=body["ended_at"],
            usage=TokenUsage.from_document(body["usage"]) if body["usage"] else None,
            result=body["result"],
            reason=body["reason"],
        )


class AttemptRecord(Struct, frozen=True, kw_only=True):
    """One call to one backend. `number` counts from 1 within the response; number 0 records the turn's warm-ups.

    A call of a tool that has a price has a record too: `call` is the id of its item, `number` is 0, and `backend` names
    the tool's server.

    `started_at` is in seconds since the epoch. `prompt_tokens` is the estimate for its prompt. `origin` is what has
    started the turn. `starts_session`: the attempt was the first in its GPU session, and came before any warm-up. The
    document is flat: each part reads and writes its own keys.
    """

    response: str
    subject: str
    number: int
    backend: str
    price: str
    started_at: float
    charge: AttemptCharge
    progress: AttemptProgress = field(default_factory=AttemptProgress)
    model: str = ""
    conversation: str = ""
    prompt_tokens: int = 0
    call: str = ""
    origin: str = ""
    starts_session: bool = False

    @property
    def id(self) -> str:
        name = f"call_{own_token(self.call)}" if self.call else f"{self.number:03d}"
        return f"{attempt_prefix(self.response)}{name}"

    @property
    def is_warm_up(self) -> bool:
        return not self.number and not self.call

    @property
    def is_open(self) -> bool:
        return self.charge.is_open

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "attempt",
            "v": 1,
            "at": self.started_at,
            "response": self.response,
            "subject": self.subject,
            "number": self.number,
            "backend": self.backend,
            "price": self.price,
            "model": self.model,
            "conversation": self.conversation,
            "prompt_tokens": self.prompt_tokens,
            **({"call": self.call} if self.call else {}),
            **({"origin": self.origin} if self.origin else {}),
            **({"starts_session": True} if self.starts_session else {}),
            **self.progress.to_document(),
            **self.charge.to_document(),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            response=body["response"],
            subject=body["subject"],
            number=body["number"],
            backend=body["backend"],
            price=body["price"],
            started_at=body["at"],
            charge=AttemptCharge.from_document(body),
            progress=AttemptProgress.from_document(body),
            model=body.get("model", ""),
            conversation=body.get("conversation", ""),
            prompt_tokens=body.get("prompt_tokens", 0),
            call=body.get("call", ""),
            origin=body.get("origin", ""),
            starts_session=body.get("starts_session", False),
        )


def attempt_prefix(response: str) -> str:
    return f"attempt_{response}_"


def warm_up_id(response: str) -> str:
    """Return the id of the record of a turn's warm-ups."""
    return f"{attempt_prefix(response)}000"


def reopened(before: AttemptRecord, worst: Decimal) -> AttemptRecord:
    """Return the record of an attempt that runs again: the worst case is added to its cost or reservation."""
    progress = replace(before.progress, deliveries=before.progress.deliveries + 1)
    return replace(before, charge=before.charge.reopened(worst), progress=progress)


def with_reserved(attempt: AttemptRecord, least: Decimal) -> AttemptRecord:
    """Return an attempt's record with at least so many dollars reserved."""
    return replace(attempt, charge=replace(attempt.charge, reserved=max(attempt.charge.reserved, least)))


def with_shares(attempt: AttemptRecord, shares: Mapping[str, SessionShare]) -> AttemptRecord:
    """Return an attempt's record with shares of GPU sessions."""
    return replace(attempt, charge=attempt.charge.with_shares(shares))


def turn_cost(attempts: tuple[AttemptRecord, ...]) -> Decimal:
    """Return the cost of the attempts together; one that never closed counts at its reservation."""
    return sum((attempt.charge.owed for attempt in attempts), Decimal(0))
