"""What did the turn cost in total, and has its tenant spent far more than forecast?"""

import logging

from domain import wire
from domain.money.overheads import OverheadPrices, StepResources
from state.money.ledger import Ledger
from telemetry import meter

log = logging.getLogger(__name__)
budget_alarms = meter.create_counter("ganglion.budget.alarms", unit="{alarm}")


class Settle:
    """Closes the reservation at the cost of the attempts and of the steps before this one."""

    def __init__(self, ledger: Ledger, overheads: OverheadPrices) -> None:
        self.ledger = ledger
        self.overheads = overheads

    async def settle(self, request: wire.SettleWire) -> wire.SettledWire:
        overhead = self.overheads.cost(StepResources.from_wire(request.get("spent")))
        cost = await self.ledger.settle(wire.owner_from_wire(request), request["response"], overhead)
        await self.raise_budget_alarm(request["tenant"])
        return {"cost": str(cost)}

    async def raise_budget_alarm(self, tenant: str) -> None:
        """Alarm operators, once a day, where a tenant has spent far more than forecast."""
        counter = await self.ledger.budget_counters.day_to_report(tenant)
        if counter:
            log.error("budget alarm: tenant %s has spent over 150 %% of the day's forecast (%s)", tenant, counter)
            budget_alarms.add(1, {"ganglion.tenant": tenant})
            await self.ledger.budget_counters.record_report(tenant, counter)
