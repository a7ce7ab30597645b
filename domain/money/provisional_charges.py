"""What is a member of a session charged until the session is closed?

Never less than what it will have to pay then: who comes later can only take parts over from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from domain.money.costing import MICROSECONDS, BillLine, time_cost
from domain.money.gpu_sessions import GpuSession, Nanos, SessionSpan, cumulated, parts_of, paying_intervals, since
from domain.money.ledger_records import NANOS, nanos
from domain.money.prices import TimePrice


def provisional(session: GpuSession, price: TimePrice, *, began: float, ended: float) -> Nanos:
    """Return what a request is charged when it leaves.

    Its time, alone, and its part of the tail behind it among those who are known to share that. A step of the price is
    added, as the session's own may be rounded up.
    """
    ready = session.ready
    cold_s = max(0.0, ready - began) if price.bills_cold else 0.0
    gpu_s = max(0.0, ended - max(began, ready))
    tail_s = shared_idle_s(session, price.idle_s, max(ended, ready))
    known_s = max(session.expiry(price.idle_s), ended + price.idle_s) - session.started
    least_s = max(0.0, price.minimum_s - known_s)
    gpu, cold = nanos(time_cost(price, gpu_s)), nanos(time_cost(price, cold_s))
    step_s = price.granularity_ms / 1000
    return {BillLine.GPU: gpu, BillLine.COLD: cold, BillLine.TAIL: nanos(time_cost(price, tail_s + least_s + step_s))}


def provisional_warm_up(price: TimePrice, cold_s: float) -> Nanos:
    """Return what a wake is charged while nobody shares it: the start, `cold_s` at worst, and the tail behind it."""
    cold = time_cost(price, cold_s) if price.bills_cold else 0
    rest_s = max(price.idle_s, price.minimum_s - cold_s) + price.granularity_ms / 1000
    return {BillLine.GPU: 0, BillLine.COLD: nanos(cold) if cold else 0, BillLine.TAIL: nanos(time_cost(price, rest_s))}


def reviewed(session: GpuSession, spans: Sequence[SessionSpan], price: TimePrice, now: float) -> Mapping[str, Nanos]:
    """Return what members pay at most of a session that goes on, of those whose tail is over: nobody new shares that.

    Who has not left yet may still turn out to have taken no part, and so takes nothing over here.
    """
    left = [span for span in spans if span.wake or span.ended is not None]
    if not left or now - session.started < price.minimum_s:
        return {}
    so_far = replace(session, ends=max(session.ends, now))
    paid, end = cumulated(so_far, left, price), since(session, now)
    over = [span for span in left if paying_intervals(so_far, span, price.idle_s).rests[1] <= end]
    step = nanos(time_cost(price, price.granularity_ms / 1000))
    return {span.record: at_most(parts_of(so_far, span, price, paid, first=False), price, step) for span in over}


def at_most(parts: Mapping[BillLine, Fraction], price: TimePrice, step: int) -> Nanos:
    """Return what microseconds cost, rounded up; a step more for the rounding of the whole."""
    rate = Fraction(price.amount) * int(NANOS) / (price.per_s * MICROSECONDS)
    exact = {line: -(-part * rate // 1) for line, part in parts.items()}
    return {line: int(amount) + (step if line is BillLine.TAIL else 0) for line, amount in exact.items()}


def shared_idle_s(session: GpuSession, tail_s: float, at: float) -> float:
    """Return one's part of the tail that begins at a time, among those whose tail it is too."""
    ends = [max(end, session.ready) for end in session.recent]
    if session.waker and session.ready_at is not None:
        ends.append(session.ready_at)
    others = [(max(end, at), end + tail_s) for end in ends if end + tail_s > at and end < at + tail_s]
    times = sorted({at, at + tail_s, *(edge for other in others for edge in other if at < edge < at + tail_s)})
    return sum(
        (end - begin) / (1 + sum(first <= begin and end <= last for first, last in others))
        for begin, end in pairwise(times)
    )


def dollars(part: Nanos) -> dict[str, Decimal]:
    """Return nano-dollars as dollars."""
    return {line: amount / NANOS for line, amount in part.items()}
