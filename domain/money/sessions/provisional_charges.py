"""How much is a member of a GPU session charged until the session is closed?

A provisional charge is never below the final share: later members can only lower a member's share.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from domain.money.costing import MICROSECONDS, BillLine, time_cost
from domain.money.ledger_records import NANOS, nanos
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import (
    GpuSession,
    Nanos,
    SessionSpan,
    cumulative_payments,
    microseconds_since_start,
    paid_microseconds,
    paying_intervals,
    price_in,
)


def provisional_charge(session: GpuSession, price: TimePrice, *, began: float, ended: float) -> Nanos:
    """Return the charge of a request at its end.

    It pays for its own time, and for its part of the idle period among the members that are known to share it. One step
    of the price is added, because the session's time may be rounded up.
    """
    ready = session.ready_time
    cold_s = max(0.0, ready - began) if price.bills_cold else 0.0
    gpu_s = max(0.0, ended - max(began, ready))
    idle_s = shared_idle_s(session, price.idle_s, max(ended, ready))
    known_s = max(session.expiry(price.idle_s), ended + price.idle_s) - session.started
    least_s = max(0.0, price.minimum_s - known_s)
    gpu, cold = nanos(time_cost(price, gpu_s)), nanos(time_cost(price, cold_s))
    step_s = price.granularity_ms / 1000
    return {BillLine.GPU: gpu, BillLine.COLD: cold, BillLine.TAIL: nanos(time_cost(price, idle_s + least_s + step_s))}


def provisional_warm_up(price: TimePrice, cold_s: float) -> Nanos:
    """Return the charge of a warm-up that no request shares: a start of `cold_s` at worst, and the idle period."""
    cold = time_cost(price, cold_s) if price.bills_cold else 0
    idle_s = max(price.idle_s, price.minimum_s - cold_s) + price.granularity_ms / 1000
    return {BillLine.GPU: 0, BillLine.COLD: nanos(cold) if cold else 0, BillLine.TAIL: nanos(time_cost(price, idle_s))}


def revised_charges(
    session: GpuSession, spans: Sequence[SessionSpan], price: TimePrice, now: float
) -> Mapping[str, Nanos]:
    """Return the highest share of each member whose idle period is over, while the session still runs.

    No new member can share a past idle period. A running attempt may still turn out to be no member, so it lowers no
    share here.
    """
    left = [span for span in spans if span.is_warm_up or span.ended is not None]
    if not left or now - session.started < price.minimum_s:
        return {}
    so_far, price = replace(session, last_end=max(session.last_end, now)), price_in(session, price)
    paid, end = cumulative_payments(so_far, left, price), microseconds_since_start(session, now)
    over = [span for span in left if paying_intervals(so_far, span, price.idle_s).idle[1] <= end]
    step = nanos(time_cost(price, price.granularity_ms / 1000))
    return {
        span.record: rounded_up(paid_microseconds(so_far, span, price, paid, first=False), price, step) for span in over
    }


def rounded_up(parts: Mapping[BillLine, Fraction], price: TimePrice, step: int) -> Nanos:
    """Return the cost of microseconds, rounded up, plus one step for the rounding of the session's time."""
    rate = Fraction(price.amount) * int(NANOS) / (price.per_s * MICROSECONDS)
    exact = {line: -(-part * rate // 1) for line, part in parts.items()}
    return {line: int(amount) + (step if line is BillLine.TAIL else 0) for line, amount in exact.items()}


def shared_idle_s(session: GpuSession, idle_s: float, at: float) -> float:
    """Return a request's part of the idle period that begins at a time, shared with the members that are idle then."""
    ends = [max(end, session.ready_time) for end in session.recent_ends]
    if session.warm_up_record and session.ready_at is not None:
        ends.append(session.ready_at)
    others = [(max(end, at), end + idle_s) for end in ends if end + idle_s > at and end < at + idle_s]
    times = sorted({at, at + idle_s, *(edge for other in others for edge in other if at < edge < at + idle_s)})
    return sum(
        (end - begin) / (1 + sum(first <= begin and end <= last for first, last in others))
        for begin, end in pairwise(times)
    )


def dollars(part: Nanos) -> dict[str, Decimal]:
    """Return nano-dollars as dollars."""
    return {line: amount / NANOS for line, amount in part.items()}
