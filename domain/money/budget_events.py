"""Which event tells operators that a tenant's spend of the day has reached a step of its forecast?"""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from domain.money.ledger_records import NANOS
from domain.money.spend_forecast import STEPS, SpendForecast

WARNED: Final = "budget.warned"
ALARMED: Final = "budget.alarmed"
BUDGET_EVENTS: Final = (WARNED, ALARMED)
"""The event types of budgets; a webhook gets them only where its `events` name them."""

LARGEST: Final = 3
HELD: Final = "held"


class BudgetEvent(Struct, frozen=True, kw_only=True):
    """A step of the forecast that was reached: a share such as 1.5, of the counter of a tenant's day."""

    tenant: str
    counter: str
    step: Decimal
    data: Mapping[str, Any]

    @property
    def type(self) -> str:
        return ALARMED if self.step == STEPS[-1] else WARNED

    @property
    def pseudo_response(self) -> str:
        """Return an id with the form of a response's, the same in every process: it is the key of the deliveries."""
        digest = hashlib.sha256(f"{self.tenant} {self.counter} {self.step}".encode()).hexdigest()
        return f"resp_{digest[:24]}{digest[24:48]}"


def steps_reached(taken: int, forecast: SpendForecast) -> Sequence[Decimal]:
    """Return the steps of the forecast that a day's nano-dollars have reached, spent and held."""
    return tuple(step for step in STEPS if forecast.expected and Decimal(taken) >= forecast.expected * step * NANOS)


def event_data(
    tenant: str, *, spent: int, held: int, forecast: SpendForecast, step: Decimal, causes: Mapping[str, int]
) -> Mapping[str, Any]:
    """Return what an event tells: amounts as decimal strings of dollars, the three largest causes, and no content."""
    known = {**causes, HELD: held}
    largest = sorted(known, key=lambda name: (-known[name], name))[:LARGEST]
    return {
        "tenant": tenant,
        "budget": "tenant_day",
        "percent": int(step * 100),
        "spent_usd": dollars(spent),
        "held_usd": dollars(held),
        "forecast_usd": f"{forecast.expected:.9f}",
        "forecast_source": "configured" if forecast.configured else "learned",
        "causes": [{"cause": name, "usd": dollars(known[name])} for name in largest if known[name] > 0],
    }


def dollars(nanos: int) -> str:
    return f"{Decimal(nanos) / NANOS:.9f}"
