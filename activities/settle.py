"""What did the turn cost in the end, and does its tenant spend more than it should?"""

import logging

from domain import wire
from domain.money.overheads import OverheadPrices, StepResources
from state.money.ledger import Ledger
from telemetry import meter

log = logging.getLogger(__name__)
alarms = meter.create_counter("ganglion.budget.alarms", unit="{alarm}")


class Settle:
    """Closes the reservation at what the attempts cost, and counts what the steps before this one have spent."""

    def __init__(self, ledger: Ledger, overheads: OverheadPrices) -> None:
        self.ledger = ledger
        self.overheads = overheads

    async def settle(self, request: wire.SettleWire) -> wire.SettledWire:
        overhead = self.overheads.cost(StepResources.from_wire(request.get("spent")))
        cost = await self.ledger.settle(wire.owner_from_wire(request), request["response"], overhead)
        await self.alarm(request["tenant"])
        return {"cost": str(cost)}

    async def alarm(self, tenant: str) -> None:
        """Tell operators once a day that a tenant has spent far more than was forecast."""
        counter = await self.ledger.budget_counters.day_to_report(tenant)
        if counter:
            log.error("budget alarm: tenant %s has spent over 150 %% of the day's forecast (%s)", tenant, counter)
            alarms.add(1, {"ganglion.tenant": tenant})
            await self.ledger.budget_counters.record_report(tenant, counter)
