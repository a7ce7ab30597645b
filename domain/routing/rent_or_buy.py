"""Is it worth its price to warm up a cold GPU, or to keep a warm one? Rent or buy.

The alternatives, such as per-token APIs, are rented; a GPU session (start, work, idle period) is bought. Buying when
the rental spend of the last window reaches the price of a session costs at most about twice the optimum, for any
traffic. Turns that the GPU served count with what they would have cost at the alternative, so the same rule releases
the GPU when traffic ends.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from domain.fleet.catalog import Backend

BETA: Final = Decimal(1)
"""A session is bought when the rental spend reaches this many times its price."""

NOTHING: Final = Decimal(0)


class RentOrBuy(NamedTuple):
    """Whether a GPU session is worth its `price`; amounts are dollars. `pays`: the rental spend has reached the price.

    `spent` is what the turns of the last `window_s` seconds that this backend can serve cost at the alternative, or
    would have cost. `scheduled` is the cost of this turn at the alternative; None if no other backend can serve it.
    """

    price: Decimal
    spent: Decimal
    scheduled: Decimal | None
    window_s: float
    pays: bool

    @property
    def warms_up(self) -> bool:
        return self.scheduled is None or self.pays

    @property
    def reason(self) -> str:
        if self.scheduled is None:
            return "no warm backend can serve this turn"
        if self.scheduled >= self.price:
            return f"this turn alone pays for a session: ${self.scheduled:.6f} of ${self.price:.6f}"
        sums = (
            f"${self.spent:.6f} spent on alternatives in the last {self.window_s:,.0f} s and ${self.scheduled:.6f} now"
        )
        if self.pays:
            return f"a session pays off: {sums} reach its price of ${self.price:.6f}"
        return f"a session does not pay off yet: {sums} are below its price of ${self.price:.6f}"


def rent_or_buy(*, session: Decimal, spent: Decimal, scheduled: Decimal | None, window_s: float) -> RentOrBuy:
    """Decide on one backend that scales to zero; `session` is what a session without work costs, in dollars."""
    price = BETA * session
    pays = scheduled is not None and spent + scheduled >= price
    return RentOrBuy(price, spent, scheduled, window_s, pays)


def window_s(backend: Backend) -> float:
    """Return for how many seconds rental spend counts: as long as a session without work lasts."""
    return backend.cold_start.idle_s + backend.cold_start.p50_s
