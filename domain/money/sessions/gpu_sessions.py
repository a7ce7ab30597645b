"""What does a GPU session cost, and which member pays for which part of it?

A session lasts from the request that started the machine to the end of its last idle period. Each attempt and each
warm-up that takes part is a member. The attempts that run at an instant pay for it in equal parts. While none runs, the
attempts whose idle periods cover the instant pay for it. A warm-up has no request: it pays from the start to the end of
its idle period, while nothing runs. Times are seconds since the epoch.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct, field

from domain.money.costing import MICROSECONDS, BillLine, microseconds, time_cost
from domain.money.ledger_records import nanos
from domain.money.prices import TimePrice
from domain.money.sessions.apportioning import apportioned, split_at

MAX_RECENT_ENDS: Final = 50
"""How many of the last ends are kept: they show which attempts share an idle period."""

NO_MEMBERS: Final[Mapping[str, Any]] = MappingProxyType({})

type Nanos = Mapping[BillLine, int]
"""Nano-dollars for the bill lines gpu, cold and tail."""


class GpuSession(Struct, frozen=True, kw_only=True):
    """One life of a GPU. `cold_s` is the expected length of its start, used until `ready_at` is observed.

    `last_end` is when a request last ended, and `recent_ends` are the latest ends. `running` maps the record of each
    attempt under way to its tenant. `members` counts all that take part. `warm_up_record` is the record of the warm-up
    that began the session, or "". `idle_s` is set where the product ends the session, this long after its last request;
    `stopped_at` is when it did.
    """

    id: str
    backend: str
    price: str
    started: float
    cold_s: float
    last_end: float
    ready_at: float | None = None
    running: Mapping[str, str] = NO_MEMBERS
    recent_ends: tuple[float, ...] = ()
    members: int = 0
    warm_up_record: str = ""
    idle_s: float | None = None
    stopped_at: float | None = None

    @property
    def ready_time(self) -> float:
        """Return when the machine was ready, or is expected to be."""
        return self.started + self.cold_s if self.ready_at is None else self.ready_at

    def expiry(self, idle_s: float) -> float:
        """Return when the machine stops if no further request arrives, or has stopped."""
        if self.stopped_at is not None:
            return self.stopped_at
        return max(self.last_end, self.ready_time) + (idle_s if self.idle_s is None else self.idle_s)

    def is_over(self, idle_s: float, now: float, *, is_held: bool = True) -> bool:
        """Return whether the machine has stopped. One that the product ends (`is_held`) runs until that was seen."""
        if is_held and self.idle_s is not None and self.stopped_at is None:
            return False
        return not self.running and now >= self.expiry(idle_s)

    def stopped(self, at: float) -> "GpuSession":
        """Return the session after its machine stopped; a start that had not ended lasted until then."""
        seen = self if self.ready_at is not None or self.ready_time <= at else self.with_ready_at(at)
        return replace(seen, stopped_at=max(at, self.started))

    def with_ready_at(self, at: float) -> "GpuSession":
        """Return the session with the earliest time at which the machine accepted a request."""
        return replace(self, ready_at=at if self.ready_at is None else min(self.ready_at, at))

    def with_instant_request(self, at: float) -> "GpuSession":
        """Return the session with a request that was accepted and ended at once."""
        return replace(self.with_ready_at(at), last_end=max(self.last_end, at))

    def with_member(self, record: str, tenant: str, *, again: bool) -> "GpuSession":
        running = {**self.running, record: tenant}
        return replace(self, running=running, members=self.members + (not again))

    def with_ended_member(self, record: str, ended: float) -> "GpuSession":
        recent_ends = (*self.recent_ends, ended)[-MAX_RECENT_ENDS:]
        return replace(self.without_member(record), last_end=max(self.last_end, ended), recent_ends=recent_ends)

    def without_member(self, record: str) -> "GpuSession":
        return replace(self, running={name: tenant for name, tenant in self.running.items() if name != record})

    def to_document(self, status: str) -> dict[str, Any]:
        return {
            "kind": "session",
            "v": 1,
            "status": status,
            "at": self.started,
            "id": self.id,
            "backend": self.backend,
            "price": self.price,
            "started": self.started,
            "cold_s": self.cold_s,
            "ends": self.last_end,
            "ready_at": self.ready_at,
            "running": dict(self.running),
            "recent": list(self.recent_ends),
            "members": self.members,
            "waker": self.warm_up_record,
            **({} if self.idle_s is None else {"idle_s": self.idle_s}),
            **({} if self.stopped_at is None else {"stopped_at": self.stopped_at}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            id=body["id"],
            backend=body["backend"],
            price=body["price"],
            started=body["started"],
            cold_s=body["cold_s"],
            last_end=body["ends"],
            ready_at=body["ready_at"],
            running=body["running"],
            recent_ends=tuple(body["recent"]),
            members=body["members"],
            warm_up_record=body["waker"],
            idle_s=body.get("idle_s"),
            stopped_at=body.get("stopped_at"),
        )


class SessionSpan(Struct, frozen=True, kw_only=True):
    """One member's part in a session. `record` is the id of its record in its tenant's ledger.

    `run` counts the runs of the attempt. `provisional` is the member's charge from its end until the session is closed.
    """

    record: str
    tenant: str
    subject: str
    response: str
    began: float
    ended: float | None = None
    run: int = 1
    is_warm_up: bool = False
    provisional: Nanos = field(default_factory=dict[BillLine, int])

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "span",
            "v": 1,
            "record": self.record,
            "tenant": self.tenant,
            "subject": self.subject,
            "response": self.response,
            "began": self.began,
            "ended": self.ended,
            "run": self.run,
            "wake": self.is_warm_up,
            "held": {line.value: part for line, part in self.provisional.items()},
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            record=body["record"],
            tenant=body["tenant"],
            subject=body["subject"],
            response=body["response"],
            began=body["began"],
            ended=body["ended"],
            run=body["run"],
            is_warm_up=body["wake"],
            provisional={BillLine(line): part for line, part in body["held"].items()},
        )


class PayingIntervals(NamedTuple):
    """When a member pays, in microseconds since the start: while it runs, and then in its idle period."""

    running: tuple[int, int]
    idle: tuple[int, int]


class CumulativePayment(NamedTuple):
    """The microseconds that one member would have paid for by a time, had it been in one state since the start.

    `running`: it ran all the time. `idle`: it was in its idle period all the time. `unpaid`: no member paid.
    """

    running: Fraction
    idle: Fraction
    unpaid: Fraction


def paying_intervals(session: GpuSession, span: SessionSpan, idle_s: float) -> PayingIntervals:
    ready, idle = microseconds_since_start(session, session.ready_time), microseconds(idle_s)
    if span.is_warm_up or span.ended is None:
        return PayingIntervals((0, 0), (0, ready + idle))
    ended = microseconds_since_start(session, span.ended)
    began = min(microseconds_since_start(session, span.began), ended)
    return PayingIntervals((began, ended), (ended, max(ended, ready) + idle))


def price_in(session: GpuSession, price: TimePrice) -> TimePrice:
    """Return the price with the idle period of the session, where the product ends it."""
    return price if session.idle_s is None else replace(price, idle_s=session.idle_s)


def session_cost(session: GpuSession, price: TimePrice) -> int:
    """Return the cost of a session that is over, in nano-dollars."""
    unpaid = 0 if price.bills_cold else microseconds_since_start(session, session.ready_time)
    alive_s = max(0, microseconds_since_start(session, session.expiry(price.idle_s)) - unpaid) / MICROSECONDS
    return nanos(time_cost(price, max(alive_s, price.minimum_s)))


def shares(session: GpuSession, spans: Sequence[SessionSpan], price: TimePrice) -> Mapping[str, Nanos]:
    """Return each member's share of a session that is over, by its record. The shares add up to the session's cost.

    The first member pays for time that is in no member's interval. What the price's step and minimum add is divided in
    proportion to the members' time.
    """
    if not spans:
        return {}
    price = price_in(session, price)
    paid = cumulative_payments(session, spans, price)
    first = min(spans, key=lambda span: (not span.is_warm_up, span.began, span.record)).record
    weights = {
        (span.record, line): part
        for span in spans
        for line, part in paid_microseconds(session, span, price, paid, first=span.record == first).items()
    }
    amounts = apportioned(session_cost(session, price), weights)
    return {span.record: {line: amounts[span.record, line] for line in LINES} for span in spans}


LINES: Final = (BillLine.GPU, BillLine.COLD, BillLine.TAIL)


def paid_microseconds(
    session: GpuSession, span: SessionSpan, price: TimePrice, paid: Mapping[int, CumulativePayment], *, first: bool
) -> Mapping[BillLine, Fraction]:
    """Return the microseconds that a member pays for, by bill line."""
    intervals, ready = (
        paying_intervals(session, span, price.idle_s),
        microseconds_since_start(session, session.ready_time),
    )
    running, idle = [split_at(interval, ready) for interval in intervals]
    cold = paid_between(paid, running[0]).running + paid_between(paid, idle[0]).idle
    tail = paid_between(paid, idle[1]).idle
    if first:
        whole = split_at((0, microseconds_since_start(session, session.expiry(price.idle_s))), ready)
        cold, tail = cold + paid_between(paid, whole[0]).unpaid, tail + paid_between(paid, whole[1]).unpaid
    gpu = paid_between(paid, running[1]).running
    return {BillLine.GPU: gpu, BillLine.COLD: cold if price.bills_cold else Fraction(0), BillLine.TAIL: tail}


def cumulative_payments(
    session: GpuSession, spans: Sequence[SessionSpan], price: TimePrice
) -> Mapping[int, CumulativePayment]:
    """Return the cumulative payment at each time at which the number of payers changes."""
    members = [paying_intervals(session, span, price.idle_s) for span in spans]
    edges = [
        microseconds_since_start(session, at)
        for at in (session.started, session.ready_time, session.expiry(price.idle_s))
    ]
    times = sorted({*edges, *(at for member in members for interval in member for at in interval)})
    changes = {at: [0, 0] for at in times}
    for member in members:
        for kind, (begin, end) in enumerate(member):
            changes[begin][kind] += 1
            changes[end][kind] -= 1
    paid, count = {times[0]: CumulativePayment(Fraction(0), Fraction(0), Fraction(0))}, [0, 0]
    for begin, end in pairwise(times):
        count = [there + change for there, change in zip(count, changes[begin], strict=True)]
        paid[end] = paid_after(paid[begin], end - begin, running=count[0], idle=count[1])
    return paid


def paid_after(paid: CumulativePayment, length: int, *, running: int, idle: int) -> CumulativePayment:
    if running:
        return paid._replace(running=paid.running + Fraction(length, running))
    if idle:
        return paid._replace(idle=paid.idle + Fraction(length, idle))
    return paid._replace(unpaid=paid.unpaid + length)


def paid_between(paid: Mapping[int, CumulativePayment], interval: tuple[int, int]) -> CumulativePayment:
    begin, end = (paid[at] for at in interval)
    return CumulativePayment(*(late - early for early, late in zip(begin, end, strict=True)))


def microseconds_since_start(session: GpuSession, at: float) -> int:
    """Return the microseconds from a session's start to a time, 0 where that is before it."""
    return microseconds(at - session.started)
