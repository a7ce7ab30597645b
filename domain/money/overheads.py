"""How much do the store and the functions cost for a turn?

Each activity is measured. The orchestrator runs once more after each of them; that run is not measured and counts as
the shortest time that is billed.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Self

from msgspec import Struct, field

from domain.money.costing import PER_MILLION, rounded
from domain.money.prices import PriceSource

LEAST_EXECUTION_S: Final = 1.0
"""The shortest execution that Azure Functions bills in the Flex Consumption plan."""

NOTHING: Final = Decimal(0)


class StepResources(Struct, frozen=True, kw_only=True):
    """The resources of steps: request units of the store, and billed seconds and executions of functions."""

    units: float = 0.0
    seconds: float = 0.0
    executions: int = 0

    def and_step(self, units: float, seconds: float) -> "StepResources":
        """Return the sum with one more step and the orchestrator's run after it."""
        return StepResources(
            units=round(self.units + units, 2),
            seconds=round(self.seconds + max(seconds, LEAST_EXECUTION_S) + LEAST_EXECUTION_S, 3),
            executions=self.executions + 2,
        )

    @classmethod
    def from_wire(cls, body: Mapping[str, Any] | None) -> Self:
        if not body:
            return cls()
        return cls(
            units=body.get("units", 0.0),
            seconds=body.get("seconds", 0.0),
            executions=body.get("executions", 0),
        )


class StorePrice(Struct, frozen=True, kw_only=True):
    """Dollars for a million request units."""

    origin: PriceSource
    million_units: Decimal


class FunctionsPrice(Struct, frozen=True, kw_only=True):
    """Dollars for a second of one GB and for a million executions, on instances of so much memory."""

    origin: PriceSource
    gb_second: Decimal
    million_executions: Decimal
    memory_gb: Decimal


class OverheadCost(Struct, frozen=True, kw_only=True):
    """Dollars that are added to the cost of the backends."""

    store: Decimal = NOTHING
    functions: Decimal = NOTHING

    def plus(self, other: "OverheadCost") -> "OverheadCost":
        return OverheadCost(store=self.store + other.store, functions=self.functions + other.functions)


class OverheadPrices(Struct, frozen=True, kw_only=True):
    """A resource without a price costs nothing."""

    store: StorePrice | None = field(default=None)
    functions: FunctionsPrice | None = field(default=None)

    def cost(self, spent: StepResources) -> OverheadCost:
        return OverheadCost(store=self.store_cost(spent), functions=self.functions_cost(spent))

    def store_cost(self, spent: StepResources) -> Decimal:
        return rounded(self.store.million_units * Decimal(str(spent.units)) * PER_MILLION) if self.store else NOTHING

    def functions_cost(self, spent: StepResources) -> Decimal:
        price = self.functions
        if price is None:
            return NOTHING
        gb_seconds = price.memory_gb * Decimal(str(spent.seconds))
        return rounded(price.gb_second * gb_seconds + price.million_executions * spent.executions * PER_MILLION)
