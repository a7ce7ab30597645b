"""Is it worth its price to warm up a cold GPU, or to keep a warm one? Rent or buy.

The alternatives, such as per-token APIs, are rented; a GPU session (start, work, idle period) is bought. Buying when
the rental spend of the last window reaches the price of a session costs at most about twice the optimum, for any
traffic. Rental spend is what the GPU saves in each turn if it is up: the score of the best alternative, less the
waiting on the GPU. Turns that the GPU served count too, so the same rule releases the GPU when traffic ends. A GPU that
is up is kept for less than a new one is bought for: its start is paid. Spend that paid for the session of one GPU
counts for no other.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct, field

from domain.fleet.catalog import Backend
from domain.money.costing import rate_cost
from domain.money.prices import Price, TokenPrice

NOTHING: Final = Decimal(0)


class Rule(NamedTuple):
    """When a session is bought, and when a GPU that is up is kept: at which multiples of a session's price.

    The rental spend of `window` times the length of a session without work has to reach them. `idle_s` is how long an
    idle GPU is kept, in seconds, where the product ends it; None leaves that to its provider, or to the fleet file.
    """

    threshold: float = 1.0
    keep: float = 1.0
    window: float = 1.0
    idle_s: float | None = None

    def to_document(self) -> dict[str, Any]:
        held = {} if self.idle_s is None else {"idle_s": self.idle_s}
        return {"threshold": self.threshold, "keep": self.keep, "window": self.window, **held}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(threshold=body["threshold"], keep=body["keep"], window=body["window"], idle_s=body.get("idle_s"))


DEFAULT_RULE: Final = Rule(threshold=1.0, keep=0.6, window=0.75)
"""Cheapest at the 90th percentile of 125 rules, over 65 drawn fleets and arrivals (`benches/routing`, development)."""


class RentOrBuy(Struct, frozen=True):
    """Whether a GPU session is worth its `price`; amounts are dollars. `pays`: the rental spend has reached `multiple`
    times the price.

    `spent` is what a GPU that is up would have saved in the turns of the last `window_s` seconds. `scheduled` is what
    it saves in this turn; None if no other backend can serve it.
    """

    price: Decimal
    spent: Decimal
    scheduled: Decimal | None
    window_s: float
    pays: bool
    multiple: float = 1.0

    @property
    def warms_up(self) -> bool:
        return self.scheduled is None or self.pays

    @property
    def reason(self) -> str:
        if self.scheduled is None:
            return "no warm backend can serve this turn"
        if not self.scheduled:
            return "a session does not pay off: another backend serves this turn as well or better"
        if self.scheduled >= self.price:
            return f"this turn alone pays for a session: ${self.scheduled:.6f} of ${self.price:.6f}"
        sums = f"${self.spent:.6f} lost without one in the last {self.window_s:,.0f} s and ${self.scheduled:.6f} now"
        times = "" if self.multiple == 1 else f"{self.multiple:g} times "
        if self.pays:
            return f"a session pays off: {sums} reach {times}its price of ${self.price:.6f}"
        return f"a session does not pay off yet: {sums} are below {times}its price of ${self.price:.6f}"


def rent_or_buy(
    *,
    session: Decimal,
    spent: Decimal,
    scheduled: Decimal | None,
    window_s: float,
    rule: Rule = DEFAULT_RULE,
    is_bought: bool = False,
) -> RentOrBuy:
    """Decide on one backend that scales to zero; `session` is what a session without work costs, in dollars.

    `is_bought` tells that it is up or starting. A turn that gains nothing from the GPU never buys a session, whatever
    was spent before.
    """
    multiple = rule.keep if is_bought else rule.threshold
    pays = scheduled is not None and scheduled > 0 and spent + scheduled >= decimal_of(multiple) * session
    return RentOrBuy(session, spent, scheduled, window_s, pays, multiple)


@lru_cache(maxsize=256)
def decimal_of(multiple: float) -> Decimal:
    """Return the multiple of a rule as it is written; rules have few, so they are cached."""
    return Decimal(str(multiple))


def window_s(backend: Backend, start_s: float) -> float:
    """Return how long a session without work lasts whose start takes `start_s` seconds, as far as is known.

    The windows of rules are multiples of it, as their thresholds are multiples of its price.
    """
    return backend.cold_start.idle_s + start_s


class SpendPart(Struct, frozen=True, kw_only=True):
    """The rental spend of one backend since `began`, a part of its window. Amounts are dollars.

    `shared` is the part of it, by backend, that the same turns added to the rental spend of other backends.
    """

    began: float
    amount: Decimal
    shared: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


def unspent(parts: Iterable[SpendPart], starts: Mapping[str, float]) -> Decimal:
    """Return the rental spend that has bought no session of another backend.

    `starts` maps backends to the time of their last start. A start pays with all that was spent before it: what
    another backend shares of that counts no more. A part during which the other one started counts as before it.
    """
    return sum((unspent_of(part, starts) for part in parts), NOTHING)


def unspent_of(part: SpendPart, starts: Mapping[str, float]) -> Decimal:
    bought = (amount for name, amount in part.shared.items() if starts.get(name, part.began) > part.began)
    return max(NOTHING, part.amount - sum(bought, NOTHING))


def session_price(price: Price, cold_s: float) -> Decimal:
    """Return what a GPU session costs without its work, if its start takes `cold_s` seconds; in dollars."""
    if isinstance(price, TokenPrice):
        return NOTHING
    idle_s = max((cold_s if price.bills_cold else 0.0) + price.idle_s, price.minimum_s)
    return idle_cost(price.amount, price.per_s, price.granularity_ms, idle_s)


@lru_cache(maxsize=256)
def idle_cost(amount: Decimal, per_s: int, granularity_ms: int, idle_s: float) -> Decimal:
    """Return what a machine without work costs: it is the same for every turn, so it is cached."""
    return rate_cost(amount, per_s=per_s, granularity_ms=granularity_ms, seconds=idle_s)
