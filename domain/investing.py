"""Is waking a sleeping GPU worth its price? Rent or buy.

Per-token APIs are the rent, a session of the GPU (start, work, tail) is bought. Buying when the rent of the last window
reaches the price of a session costs at most about twice what a clairvoyant would pay, whatever the traffic does.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.beliefs import Belief
from domain.fleet import Backend

BETA: Final = Decimal(1)
"""A session is bought at so many times its price in rent."""

NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether to wake, and why. `pays`: others' rent has paid for it; else it is only that nothing else is there."""

    wake: bool
    reason: str
    pays: bool = False


def rent_or_buy(*, session: Decimal, spent: Decimal, scheduled: Decimal | None, window_s: float) -> Verdict:
    """Decide on one sleeping backend; amounts are dollars.

    `spent` went to other backends within the window for turns that this one could have taken. `scheduled` is what the
    steps that are already to be done would cost elsewhere; None where nothing else can do them.
    """
    if scheduled is None:
        return Verdict(wake=True, reason="nothing that is awake can take the turn")
    price = BETA * session
    paid = spent + scheduled
    sums = f"${spent:.6f} spent elsewhere in the last {window_s:,.0f} s and ${scheduled:.6f} to be spent now"
    if scheduled >= price:
        return Verdict(
            wake=True, pays=True, reason=f"what is to be done now pays for it: ${scheduled:.6f} of ${price:.6f}"
        )
    if paid >= price:
        return Verdict(wake=True, pays=True, reason=f"it pays: {sums} reach ${price:.6f}")
    return Verdict(wake=False, reason=f"it does not pay yet: {sums} of ${price:.6f}")


def window_s(backend: Backend, belief: Belief) -> float:
    """Return how far back rent counts: as long as a session without work lasts."""
    return backend.cold.tail_s + belief.cold_p50_s
