"""What did it cost?

Every amount is exact before it is rounded, once, half to even, to whole nano-dollars. Times are seconds; they count to
the microsecond, so that 0.1 s is one step of 100 ms, not two.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from domain.money.prices import SECONDS_IN_HOUR, Price, TimePrice, TokenPrice

NANO: Final = Decimal("1e-9")
HALF_EVEN: Final = Context(prec=28, rounding=ROUND_HALF_EVEN)
PER_MILLION: Final = Decimal("1e-6")
MICROSECONDS: Final = 1_000_000


class BillLine(StrEnum):
    """What a part of a turn's bill is for.

    `held` is what an attempt or a call of a tool holds that has not ended, or whose end is lost.
    """

    GPU = "gpu"
    COLD = "cold"
    TAIL = "tail"
    TOKENS = "tokens"
    TOOLS = "tools"
    HELD = "held"
    STORE = "store"
    FUNCTIONS = "functions"


class BackendWork(Struct, frozen=True, kw_only=True):
    """What an attempt took of its backend. Cached and written tokens are a part of the input tokens.

    `requests` counts the calls that the backend answered.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    busy_s: float = 0.0


def attempt_cost(price: Price, work: BackendWork) -> Decimal:
    """Return what one attempt costs by itself: tokens or busy time. Start and idle time belong to its session."""
    if isinstance(price, TokenPrice):
        cached = min(max(0, work.cached_tokens), work.input_tokens)
        written = min(max(0, work.written_tokens), work.input_tokens - cached)
        return token_cost(
            price,
            fresh=work.input_tokens - cached - written,
            cached=cached,
            written=written,
            output=work.output_tokens,
            requests=work.requests,
        )
    cost = time_cost(price, work.busy_s)
    return rounded(cost + price.request * work.requests) if work.requests and price.request else cost


def line_of(price: Price) -> BillLine:
    """Return what an attempt by itself is charged for."""
    return BillLine.TOKENS if isinstance(price, TokenPrice) else BillLine.GPU


def token_cost(
    price: TokenPrice, *, fresh: int, output: int, cached: int = 0, written: int = 0, requests: int = 0
) -> Decimal:
    """Return what so many tokens and requests cost. The input is fresh, read from the cache, or written to it."""
    dollars = price.input * fresh + price.output * output
    if cached:
        dollars += price.cached_input * cached
    if written:
        dollars += (price.input if price.cache_write is None else price.cache_write) * written
    dollars *= PER_MILLION
    return rounded(dollars + price.request * requests if requests and price.request else dollars)


def worst_token_cost(price: TokenPrice, *, input_tokens: int, output: int) -> Decimal:
    """Return the most that one request with so many tokens costs: its whole input at the dearest rate."""
    dearest = price.input if price.cache_write is None else price.dearest_input
    dollars = (dearest * input_tokens + price.output * output) * PER_MILLION
    return rounded(dollars + price.request if price.request else dollars)


def time_cost(price: TimePrice, seconds: float) -> Decimal:
    """Return rate x time, the time rounded up to whole steps of the price's granularity."""
    step = price.granularity_ms * 1000
    return cost_of_steps(price.amount, price.per_s, step, -(-microseconds(seconds) // step))


def energy_cost(price: TimePrice, seconds: float) -> Decimal:
    """Return what work costs at the margin on a machine that is paid anyway."""
    step = price.granularity_ms
    return rate_cost(price.energy_per_hour, per_s=SECONDS_IN_HOUR, granularity_ms=step, seconds=seconds)


def rate_cost(amount: Decimal, *, per_s: int, granularity_ms: int, seconds: float) -> Decimal:
    step = granularity_ms * 1000
    return cost_of_steps(amount, per_s, step, -(-microseconds(seconds) // step))


@lru_cache(maxsize=4096)
def cost_of_steps(amount: Decimal, per_s: int, step: int, steps: int) -> Decimal:
    """Return what so many steps of `step` microseconds cost. It is cached: most turns are of few lengths."""
    return HALF_EVEN.quantize(amount * (steps * step) / (per_s * MICROSECONDS), NANO)


def marginal_cost(price: TimePrice, *, end: float, expiry: float) -> Decimal:
    """Return what one more request on a warm machine costs: rate x max(0, end + tail - expiry).

    `end` is when the request ends, `expiry` when the machine would have gone without it.
    """
    return time_cost(price, max(0.0, end + price.idle_s - expiry))


def rounded(dollars: Decimal) -> Decimal:
    return HALF_EVEN.quantize(dollars, NANO)


def microseconds(seconds: float) -> int:
    return round(seconds * MICROSECONDS) if seconds > 0 else 0
