"""What has an open GPU session cost, and what will its members pay if no further request arrives?

While a session is open, each member is charged the most that it can owe. The outlook is the same division that closes
the session, as if the running attempts ended now.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from decimal import Decimal

from msgspec import Struct

from domain.money.costing import time_cost
from domain.money.ledger_records import NANOS
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan, price_in, session_cost, shares
from domain.money.sessions.provisional_charges import dollars


class SessionOutlook(Struct, frozen=True, kw_only=True):
    """A session as it would end without further requests. Amounts are dollars, times seconds since the epoch.

    `expected` maps the record of each member to its cost by bill line, `used` to its part if the machine stopped now.
    `so_far` is what the machine has cost until now, `in_all` what the whole session will have cost, and `ends_at` when
    the machine stops.
    """

    session: GpuSession
    expected: Mapping[str, Mapping[str, Decimal]]
    used: Mapping[str, Mapping[str, Decimal]]
    so_far: Decimal
    in_all: Decimal
    ends_at: float

    def expected_of(self, record: str) -> Decimal:
        return sum(self.expected[record].values(), Decimal(0))


def outlook(session: GpuSession, spans: Sequence[SessionSpan], price: TimePrice, now: float) -> SessionOutlook:
    """Return the outlook of an open session with all its spans."""
    idle, price = without_running(session, now), price_in(session, price)
    ended = [span if span.ended is not None or span.is_warm_up else replace(span, ended=now) for span in spans]
    paid = shares(idle, ended, price)
    stopped = replace(price, idle_s=min(price.idle_s, max(0.0, now - idle.last_end)))
    as_stopped = idle if idle.idle_s is None else replace(idle, idle_s=stopped.idle_s)
    return SessionOutlook(
        session=session,
        expected={record: dollars(part) for record, part in paid.items()},
        used={record: dollars(part) for record, part in shares(as_stopped, ended, stopped).items()},
        so_far=cost_so_far(session, price, now),
        in_all=session_cost(idle, price) / NANOS,
        ends_at=idle.expiry(price.idle_s),
    )


def without_running(session: GpuSession, now: float) -> GpuSession:
    """Return the session as if every attempt that runs ended now."""
    if not session.running:
        return session
    return replace(session, running={}, last_end=max(session.last_end, now))


def cost_so_far(session: GpuSession, price: TimePrice, now: float) -> Decimal:
    """Return the dollars that a session has cost until `now`, in seconds since the epoch.

    The time of a start counts where the price bills it. The price's shortest time counts from the beginning.
    """
    is_held = session.idle_s is not None and session.stopped_at is None
    until = now if session.running or is_held else min(now, session.expiry(price.idle_s))
    begins = session.started if price.bills_cold else session.ready_time
    return time_cost(price, max(until - begins, price.minimum_s))


def earliest_end(session: GpuSession, price: TimePrice) -> float | None:
    """Return when the machine stops if no further request arrives; None while an attempt runs."""
    return None if session.running else session.expiry(price.idle_s)
