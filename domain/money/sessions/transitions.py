"""What does a GPU session become when a request enters or leaves it, or when a warm-up is sent?

Every function is pure. It takes the stored session and the stored span of one member, and returns what is written in
their place, in one commit. A session of None is absent, or over and replaced by another one. Times are seconds since
the epoch.
"""

from copy import replace
from decimal import Decimal
from typing import Final

from msgspec import Struct

from domain.money.costing import time_cost
from domain.money.ledger_records import warm_up_id
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, Nanos, SessionSpan, price_in
from domain.money.sessions.provisional_charges import dollars, provisional_charge, provisional_warm_up

JOINT_STEPS: Final = 4
"""So many parts of the charges of a turn's members are rounded up to a step of the price."""


class SessionTransition[T](Struct, frozen=True, kw_only=True):
    """What is to be written; a part that is None stays as it is stored.

    A session without members is removed: it never took place. `removes_span` removes the member's span.
    """

    result: T
    session: GpuSession | None = None
    span: SessionSpan | None = None
    removes_span: bool = False


class SessionEntry(Struct, frozen=True, kw_only=True):
    """One run of an attempt in a session; `worst` is the most that it may be charged, in dollars.

    Where a warm-up of the same turn started the session, at the time `started` (seconds since the epoch), `joint` is
    the most that all members of the turn together may be charged. `idle_s` is that of the session. `instance` is the
    number of the instance. `is_first`: nothing else has taken part in the session before.
    """

    session: str
    record: str
    run: int
    worst: Decimal
    joint: Decimal | None = None
    started: float = 0.0
    idle_s: float | None = None
    instance: int = 0
    is_first: bool = False


class WarmUpCharge(Struct, frozen=True, kw_only=True):
    """What a warm-up is charged in a session until that is closed."""

    session: str
    amounts: Nanos


class FollowingAttempt(Struct, frozen=True, kw_only=True):
    """The attempt that a turn makes after it has sent a warm-up: its worst-case cost, in dollars.

    `uses_warm_up`: the attempt goes to the backend that is warmed up, and its worst case includes the start.
    """

    worst_cost: Decimal = Decimal(0)
    uses_warm_up: bool = True

    def beside(self, held: Decimal) -> Decimal:
        """Return how many dollars it may cost beside a warm-up for which `held` dollars are held."""
        return max(Decimal(0), self.worst_cost - held) if self.uses_warm_up else self.worst_cost


NO_ATTEMPT: Final = FollowingAttempt()


class EntryTerms(Struct, frozen=True, kw_only=True):
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
    is_own = session.warm_up_record == warm_up_id(running.response)
    joint = joint_worst_of(session, terms, now=now) if is_own else None
    return SessionTransition(
        session=session.with_member(running.record, running.tenant, again=span is not None),
        span=running,
        result=SessionEntry(
            session=session.id,
            record=running.record,
            run=running.run,
            worst=worst,
            joint=joint,
            started=session.started,
            idle_s=session.idle_s,
            is_first=session.members == (span is not None),
        ),
    )


def worst_case(session: GpuSession, terms: EntryTerms, *, now: float) -> Decimal:
    """Return the most that a member which enters now may be charged when it leaves, in dollars."""
    slow = with_slow_start(session, terms)
    amounts = provisional_charge(
        slow, price_in(session, terms.price), began=now, ended=max(now, slow.ready_time) + terms.limit_s
    )
    return sum(dollars(amounts).values(), Decimal(0))


def joint_worst_of(session: GpuSession, terms: EntryTerms, *, now: float) -> Decimal:
    """Return the most that a member which enters now, and those of its turn before it, may be charged together."""
    ready = with_slow_start(session, terms).ready_time
    return joint_worst_case(price_in(session, terms.price), seconds=max(now, ready) + terms.limit_s - session.started)


def with_slow_start(session: GpuSession, terms: EntryTerms) -> GpuSession:
    return replace(session, cold_s=max(session.cold_s, terms.start_s))


def joint_worst_case(price: TimePrice, *, seconds: float) -> Decimal:
    """Return the most that the members of a turn are charged together, from the start to the end of the last one.

    The parts of their charges are rounded up, each by itself.
    """
    step_s = price.granularity_ms / 1000
    return time_cost(price, max(seconds + price.idle_s, price.minimum_s) + JOINT_STEPS * step_s)


def joint_charge(price: TimePrice, entry: SessionEntry, *, ended: float) -> Decimal:
    """Return the most that all of a turn's members pay of a session when the last of them ends, in dollars."""
    known = price if entry.idle_s is None else replace(price, idle_s=entry.idle_s)
    return joint_worst_case(known, seconds=ended - entry.started)


def left(
    session: GpuSession | None,
    span: SessionSpan | None,
    *,
    run: int,
    price: TimePrice,
    ended: float,
    opened_at: float | None,
    is_further: bool = False,
) -> SessionTransition[Nanos | None]:
    """End a member's run and charge it provisionally; `opened_at` is when the machine accepted its request.

    That tells nothing of the start of a further instance: another one may have served the request. The result is None
    where a later run has replaced this one, or the session continued without it.
    """
    if span is None or span.run != run:
        return SessionTransition(result=None)
    if span.ended is not None or session is None:
        return SessionTransition(result=span.provisional or None)
    is_ready = opened_at is not None or session.ready_at is None
    seen = session.with_ready_at(opened_at or span.began) if is_ready and not is_further else session
    amounts = provisional_charge(seen, price_in(session, price), began=span.began, ended=ended)
    return SessionTransition(
        session=seen.with_ended_member(span.record, ended),
        span=replace(span, ended=ended, provisional=amounts),
        result=amounts,
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
        return SessionTransition(result=WarmUpCharge(session=session.id, amounts=span.provisional))
    if session.running:
        return SessionTransition(result=None)
    price = price_in(session, price)
    if session.members:
        amounts = provisional_charge(session, price, began=now, ended=now)
        after, added = session.with_ended_member(member.record, now), replace(member, ended=now, provisional=amounts)
    else:
        amounts = provisional_warm_up(price, worst_s)
        after, added = (
            replace(session, warm_up_record=member.record),
            replace(member, is_warm_up=True, provisional=amounts),
        )
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
    warm_up_record = "" if session.warm_up_record == record else session.warm_up_record
    return replace(session.without_member(record), members=session.members - 1, warm_up_record=warm_up_record)


def begun(session: GpuSession | None, *, at: float) -> SessionTransition[None]:
    """Let a session begin later whose machine has answered nobody: until then nothing was started."""
    if session is None or session.ready_at is not None or at <= session.started:
        return SessionTransition(session=None, result=None)
    moved = replace(session, started=at, last_end=max(at, session.last_end))
    return SessionTransition(session=moved, result=None)


def stopped(session: GpuSession | None, *, at: float) -> SessionTransition[None]:
    """End a session whose machine the product has stopped; the first time that this was seen counts."""
    ended = session.stopped(at) if session and session.stopped_at is None else None
    return SessionTransition(session=ended, result=None)
