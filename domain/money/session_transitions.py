"""What does a GPU session become when a request enters or leaves it, or when a warm-up is sent?

Every function is pure. It takes the stored session and the stored span of one member, and returns what is written in
their place, in one commit. A session of None is absent, or over and replaced by another one. Times are seconds since
the epoch.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from domain.money.gpu_sessions import GpuSession, Nanos, SessionSpan
from domain.money.prices import TimePrice
from domain.money.provisional_charges import dollars, provisional, provisional_warm_up


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTransition[T]:
    """What is to be written; a part that is None stays as it is stored.

    A session without members is removed: it never took place. `removes_span` removes the member's span.
    """

    result: T
    session: GpuSession | None = None
    span: SessionSpan | None = None
    removes_span: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """One run of an attempt in a session; `worst` is the most that it may be charged, in dollars."""

    session: str
    record: str
    run: int
    worst: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpCharge:
    """What a warm-up is charged in a session until that is closed."""

    session: str
    amounts: Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTerms:
    """How long a start may take, how long the attempt may run, and what its time costs."""

    price: TimePrice
    start_s: float
    limit_s: float


def entered(
    session: GpuSession, span: SessionSpan | None, *, member: SessionSpan, terms: EntryTerms, now: float
) -> SessionTransition[SessionEntry]:
    """Add a member that runs from now on. One that has a span runs again, from its first start."""
    running = replace(span, ended=None, run=span.run + 1) if span else member
    worst = worst_case(session, terms, now=now)
    return SessionTransition(
        session=session.entered(running.record, running.tenant, again=span is not None),
        span=running,
        result=SessionEntry(session=session.id, record=running.record, run=running.run, worst=worst),
    )


def worst_case(session: GpuSession, terms: EntryTerms, *, now: float) -> Decimal:
    """Return the most that a member which enters now may be charged when it leaves, in dollars."""
    slow = replace(session, cold_s=max(session.cold_s, terms.start_s))
    amounts = provisional(slow, terms.price, began=now, ended=max(now, slow.ready) + terms.limit_s)
    return sum(dollars(amounts).values(), Decimal(0))


def left(
    session: GpuSession | None,
    span: SessionSpan | None,
    *,
    run: int,
    price: TimePrice,
    ended: float,
    opened_at: float | None,
) -> SessionTransition[Nanos | None]:
    """End a member's run and charge it provisionally; `opened_at` is when the machine accepted its request.

    The result is None where a later run has replaced this one, or the session continued without it.
    """
    if span is None or span.run != run:
        return SessionTransition(result=None)
    if span.ended is not None or session is None:
        return SessionTransition(result=span.held or None)
    is_ready = opened_at is not None or session.ready_at is None
    seen = session.seen_ready(opened_at or span.began) if is_ready else session
    amounts = provisional(seen, price, began=span.began, ended=ended)
    return SessionTransition(
        session=seen.left(span.record, ended), span=replace(span, ended=ended, held=amounts), result=amounts
    )


def given_up(session: GpuSession | None, span: SessionSpan | None, *, run: int) -> SessionTransition[None]:
    """Remove a member whose request was never sent, or was rejected at once: it pays nothing."""
    if session is None or span is None or span.run != run or span.record not in session.running:
        return SessionTransition(result=None)
    return SessionTransition(session=without_member(session, span.record), removes_span=True, result=None)


def warmed_up(
    session: GpuSession, span: SessionSpan | None, *, member: SessionSpan, price: TimePrice, worst_s: float, now: float
) -> SessionTransition[WarmUpCharge | None]:
    """Add a warm-up that is sent now. The result is None where requests run in the session: it needs no warm-up.

    In a session that has members, it is a request that ends at once: the machine still runs, or is paid as if it did.
    """
    if span is not None:
        return SessionTransition(result=WarmUpCharge(session=session.id, amounts=span.held))
    if session.running:
        return SessionTransition(result=None)
    if session.members:
        amounts = provisional(session, price, began=now, ended=now)
        after, added = session.left(member.record, now), replace(member, ended=now, held=amounts)
    else:
        amounts = provisional_warm_up(price, worst_s)
        after, added = replace(session, waker=member.record), replace(member, wake=True, held=amounts)
    return SessionTransition(
        session=replace(after, members=after.members + 1),
        span=added,
        result=WarmUpCharge(session=session.id, amounts=amounts),
    )


def warm_up_removed(session: GpuSession | None, span: SessionSpan | None) -> SessionTransition[None]:
    """Remove a warm-up that was not sent, or that the backend rejected."""
    if session is None or span is None:
        return SessionTransition(result=None)
    return SessionTransition(session=without_member(session, span.record), removes_span=True, result=None)


def without_member(session: GpuSession, record: str) -> GpuSession:
    waker = "" if session.waker == record else session.waker
    return replace(session.without(record), members=session.members - 1, waker=waker)
