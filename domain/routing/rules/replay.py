"""What would another rule have cost? Demand of the past is replayed with each rule, and the cheapest one is adopted.

Demand is what each turn saves if the GPU is up. The rules of `domain.routing.rent_or_buy` are replayed as the router
would follow them, for patient turns that all wait for a start.
"""

import math
from collections import deque
from collections.abc import Sequence
from copy import replace
from typing import Final, NamedTuple

from msgspec import Struct

from domain.routing.rent_or_buy import Rule


class PastDemand(NamedTuple):
    """Turns at one time, in seconds: the dollars that a GPU which is up saves in them, and the seconds of its work."""

    at: float
    saved: float
    busy_s: float


class SessionTerms(Struct, frozen=True, kw_only=True):
    """A GPU session: dollars for a second, and the seconds of its start and of its idle period.

    `wait_s` is set where the product chooses the idle period: the seconds of a start, whether they are billed or not.
    """

    second_usd: float
    start_s: float
    idle_s: float
    wait_s: float | None = None

    @property
    def price(self) -> float:
        return self.second_usd * (self.start_s + self.idle_s)

    @property
    def window_s(self) -> float:
        return self.start_s + self.idle_s


ROUNDING_USD: Final = 1e-9
"""Sums of floating-point dollars are as exact as this."""

PLAIN: Final = Rule(1.0, 1.0, 1.0)
NEVER: Final = Rule(math.inf, math.inf)
ALWAYS: Final = Rule(0.0, 0.0)


class Replayed(NamedTuple):
    """What the demand cost in dollars, and until when the GPU is up without further turns, in seconds."""

    dollars: float
    warm_until: float


def replay(demand: Sequence[PastDemand], rule: Rule, terms: SessionTerms) -> Replayed:
    """Replay demand with a rule: it costs what was not saved, and the seconds of the GPU with its idle periods."""
    recent: deque[PastDemand] = deque()
    spent, dollars, warm_until = 0.0, 0.0, -math.inf
    terms = terms if rule.idle_s is None else replace(terms, idle_s=rule.idle_s)
    price, window_s = terms.price, rule.window * terms.window_s
    for turn in demand:
        while recent and recent[0].at < turn.at - window_s:
            spent -= recent.popleft().saved
        spent = max(0.0, spent) if recent else 0.0
        is_up = turn.at < warm_until
        until = turn.at + turn.busy_s + terms.idle_s + (0.0 if is_up else terms.start_s)
        machine = terms.second_usd * max(0.0, until - (warm_until if is_up else turn.at))
        limit = rule.keep if is_up else rule.threshold
        if spent + turn.saved + ROUNDING_USD >= limit * price or (is_up and machine <= turn.saved):
            warm_until, dollars = max(until, warm_until), dollars + machine
        else:
            dollars += turn.saved
        recent.append(turn)
        spent += turn.saved
    return Replayed(dollars, warm_until)
