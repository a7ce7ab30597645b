"""Is waking a sleeping GPU worth its price, and keeping one that is awake? Rent or buy.

Per-token APIs are the rent, a session of the GPU (start, work, tail) is bought. Buying when the rent of the last window
reaches the price of a session costs at most about twice what a clairvoyant would pay, whatever the traffic does. What
the GPU has taken counts at what it would have cost elsewhere, so that the same rule lets it go when traffic dies away.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from domain.fleet.catalog import Backend

BETA: Final = Decimal(1)
"""A session is bought at so many times its price in rent."""

NOTHING: Final = Decimal(0)


class RentOrBuy(NamedTuple):
    """Whether a session is worth its `price`; amounts are dollars. `pays`: rent has paid for it.

    `spent` is what turns of the last `window_s` seconds cost elsewhere, or would have, that this backend could take.
    `scheduled` is what the steps that are already to be done would cost elsewhere; None where nothing else can do them.
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
            return f"the work scheduled now pays for it: ${self.scheduled:.6f} of ${self.price:.6f}"
        sums = f"${self.spent:.6f} of rent in the last {self.window_s:,.0f} s and ${self.scheduled:.6f} now"
        if self.pays:
            return f"it pays: {sums} reach ${self.price:.6f}"
        return f"it does not pay yet: {sums} of ${self.price:.6f}"


def rent_or_buy(*, session: Decimal, spent: Decimal, scheduled: Decimal | None, window_s: float) -> RentOrBuy:
    """Decide on one backend that scales to zero; `session` is what a session without work costs, in dollars."""
    price = BETA * session
    pays = scheduled is not None and spent + scheduled >= price
    return RentOrBuy(price, spent, scheduled, window_s, pays)


def window_s(backend: Backend) -> float:
    """Return how far back rent counts: as long as a session without work lasts."""
    return backend.cold_start.idle_s + backend.cold_start.p50_s
