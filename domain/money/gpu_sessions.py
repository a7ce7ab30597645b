"""What does the life of a GPU cost, and who pays for which part of it?

A session lasts from the request that started the machine to the end of its last idle period. The attempts that run at
an instant pay for it in equal parts; while none runs, the attempts in whose idle period it is pay. A warm-up has no
request: it pays from the start to the end of the idle period after it, while nothing runs. Times are seconds since the
epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from domain.money.costing import MICROSECONDS, BillLine, microseconds, time_cost
from domain.money.ledger_records import nanos
from domain.money.prices import TimePrice

RECENT: Final = 50
"""The number of last ends that are kept, to know which attempts share an idle period."""

NOBODY: Final[Mapping[str, Any]] = MappingProxyType({})

type Nanos = Mapping[BillLine, int]
"""Nano-dollars for the lines gpu, cold and tail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSession:
    """`cold_s` is how long a start is expected to take until `ready_at` is seen; `ends` is when a request last ended.

    `running` names the records of attempts under way, with their tenants; `recent` are the last ends. `members` counts
    all who take part. `waker` is the record of a wake that began it, if one did.
    """

    id: str
    backend: str
    price: str
    started: float
    cold_s: float
    ends: float
    ready_at: float | None = None
    running: Mapping[str, str] = NOBODY
    recent: tuple[float, ...] = ()
    members: int = 0
    waker: str = ""

    @property
    def ready(self) -> float:
        return self.started + self.cold_s if self.ready_at is None else self.ready_at

    def expiry(self, tail_s: float) -> float:
        """Return when the machine goes if nothing more comes."""
        return max(self.ends, self.ready) + tail_s

    def over(self, tail_s: float, now: float) -> bool:
        return not self.running and now >= self.expiry(tail_s)

    def seen_ready(self, at: float) -> "GpuSession":
        """Return it with the earliest time at which it was seen to let a request in."""
        return replace(self, ready_at=at if self.ready_at is None else min(self.ready_at, at))

    def touched(self, at: float) -> "GpuSession":
        """Return it with a request that was let in and ended at once."""
        return replace(self.seen_ready(at), ends=max(self.ends, at))

    def entered(self, record: str, tenant: str, *, again: bool) -> "GpuSession":
        running = {**self.running, record: tenant}
        return replace(self, running=running, members=self.members + (not again))

    def left(self, record: str, ended: float) -> "GpuSession":
        gone = self.without(record)
        return replace(gone, ends=max(self.ends, ended), recent=(*self.recent, ended)[-RECENT:])

    def without(self, record: str) -> "GpuSession":
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
            "ends": self.ends,
            "ready_at": self.ready_at,
            "running": dict(self.running),
            "recent": list(self.recent),
            "members": self.members,
            "waker": self.waker,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            id=body["id"],
            backend=body["backend"],
            price=body["price"],
            started=body["started"],
            cold_s=body["cold_s"],
            ends=body["ends"],
            ready_at=body["ready_at"],
            running=body["running"],
            recent=tuple(body["recent"]),
            members=body["members"],
            waker=body["waker"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpan:
    """What one attempt, or a wake, took of a session. `record` is the id of its record in its tenant's ledger.

    `run` counts the runs of the attempt; `held` is what it was charged when it left, until the session is closed.
    """

    record: str
    tenant: str
    subject: str
    response: str
    began: float
    ended: float | None = None
    run: int = 1
    wake: bool = False
    held: Nanos = field(default_factory=dict[BillLine, int])

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
            "wake": self.wake,
            "held": {line.value: part for line, part in self.held.items()},
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
            wake=body["wake"],
            held={BillLine(line): part for line, part in body["held"].items()},
        )


class PayingIntervals(NamedTuple):
    """When a member pays, in microseconds since the start: while it runs, then while it is in its tail."""

    runs: tuple[int, int]
    rests: tuple[int, int]


class CumulativePayment(NamedTuple):
    """What one member of a cumulated kind has paid until a time, were it there from the beginning."""

    running: Fraction
    resting: Fraction
    unpaid: Fraction


def paying_intervals(session: GpuSession, span: SessionSpan, tail_s: float) -> PayingIntervals:
    """Return when a member pays."""
    ready, tail = since(session, session.ready), microseconds(tail_s)
    if span.wake or span.ended is None:
        return PayingIntervals((0, 0), (0, ready + tail))
    ended = since(session, span.ended)
    began = min(since(session, span.began), ended)
    return PayingIntervals((began, ended), (ended, max(ended, ready) + tail))


def total(session: GpuSession, price: TimePrice) -> int:
    """Return what a session cost that is over, in nano-dollars."""
    unpaid = 0 if price.bills_cold else since(session, session.ready)
    alive_s = max(0, since(session, session.expiry(price.idle_s)) - unpaid) / MICROSECONDS
    return nanos(time_cost(price, max(alive_s, price.minimum_s)))


def shares(session: GpuSession, spans: Sequence[SessionSpan], price: TimePrice) -> Mapping[str, Nanos]:
    """Return what each member pays of a session that is over: exactly its cost, by largest remainder.

    What lies in nobody's claim is the first member's. Steps of the price and its minimum go by the parts of the rest.
    """
    if not spans:
        return {}
    paid = cumulated(session, spans, price)
    first = min(spans, key=lambda span: (not span.wake, span.began, span.record)).record
    weights = {
        (span.record, line): part
        for span in spans
        for line, part in parts_of(session, span, price, paid, first=span.record == first).items()
    }
    amounts = allotted(total(session, price), weights)
    return {span.record: {line: amounts[span.record, line] for line in LINES} for span in spans}


LINES: Final = (BillLine.GPU, BillLine.COLD, BillLine.TAIL)


def parts_of(
    session: GpuSession, span: SessionSpan, price: TimePrice, paid: Mapping[int, CumulativePayment], *, first: bool
) -> Mapping[BillLine, Fraction]:
    """Return the microseconds that a member pays for, by their lines."""
    claim, ready = paying_intervals(session, span, price.idle_s), since(session, session.ready)
    runs, rests = [split_at(interval, ready) for interval in claim]
    cold = between(paid, runs[0]).running + between(paid, rests[0]).resting
    tail = between(paid, rests[1]).resting
    if first:
        whole = split_at((0, since(session, session.expiry(price.idle_s))), ready)
        cold, tail = cold + between(paid, whole[0]).unpaid, tail + between(paid, whole[1]).unpaid
    gpu = between(paid, runs[1]).running
    return {BillLine.GPU: gpu, BillLine.COLD: cold if price.bills_cold else Fraction(0), BillLine.TAIL: tail}


def cumulated(session: GpuSession, spans: Sequence[SessionSpan], price: TimePrice) -> Mapping[int, CumulativePayment]:
    """Return at each time at which something changes what a member has paid since the start."""
    claims = [paying_intervals(session, span, price.idle_s) for span in spans]
    edges = [since(session, at) for at in (session.started, session.ready, session.expiry(price.idle_s))]
    times = sorted({*edges, *(at for claim in claims for interval in claim for at in interval)})
    changes = {at: [0, 0] for at in times}
    for claim in claims:
        for kind, (begin, end) in enumerate(claim):
            changes[begin][kind] += 1
            changes[end][kind] -= 1
    paid, count = {times[0]: CumulativePayment(Fraction(0), Fraction(0), Fraction(0))}, [0, 0]
    for begin, end in pairwise(times):
        count = [there + change for there, change in zip(count, changes[begin], strict=True)]
        paid[end] = after(paid[begin], end - begin, running=count[0], resting=count[1])
    return paid


def after(paid: CumulativePayment, length: int, *, running: int, resting: int) -> CumulativePayment:
    if running:
        return paid._replace(running=paid.running + Fraction(length, running))
    if resting:
        return paid._replace(resting=paid.resting + Fraction(length, resting))
    return paid._replace(unpaid=paid.unpaid + length)


def between(paid: Mapping[int, CumulativePayment], interval: tuple[int, int]) -> CumulativePayment:
    begin, end = (paid[at] for at in interval)
    return CumulativePayment(*(late - early for early, late in zip(begin, end, strict=True)))


def split_at(interval: tuple[int, int], at: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the parts of an interval before and behind a time, or the nearest to it."""
    begin, end = interval
    middle = min(max(begin, at), end)
    return (begin, middle), (middle, end)


def allotted[K](amount: int, weights: Mapping[K, Fraction]) -> Mapping[K, int]:
    """Divide a whole amount by weights so that the parts are whole and add up: the largest remainders get the rest."""
    whole = sum(weights.values(), Fraction(0))
    names = list(weights)
    if not whole:
        return {name: amount if name == names[0] else 0 for name in names}
    exact = {name: amount * weight / whole for name, weight in weights.items()}
    parts = {name: int(part) for name, part in exact.items()}
    left = amount - sum(parts.values())
    for name in sorted(names, key=lambda name: parts[name] - exact[name])[:left]:
        parts[name] += 1
    return parts


def since(session: GpuSession, at: float) -> int:
    """Return the microseconds from a session's start to a time, 0 where that is before it."""
    return microseconds(at - session.started)
