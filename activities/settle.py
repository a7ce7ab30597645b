"""What did the turn cost in total, and has its tenant spent far more than forecast?"""

import logging
from collections.abc import Callable

from domain import wire
from domain.money.overheads import OverheadPrices, StepResources
from domain.money.settlement import Settlement
from domain.money.usage import HIT
from domain.turns.cache_use import TAKEN_OVER
from state.money.ledger import Ledger
from telemetry.turn_end import EndedTurn, report_turn
from telemetry.turn_metrics import count_budget_alarm

log = logging.getLogger(__name__)


class Settle:
    """Closes the reservation at the cost of the attempts and of the steps before this one."""

    def __init__(self, ledger: Ledger, overheads: OverheadPrices, notice: Callable[[str], None]) -> None:
        """`notice` is told the tenant of each turn that was settled."""
        self.ledger = ledger
        self.notice = notice
        self.overheads = overheads

    async def settle(self, request: wire.SettleWire) -> wire.SettledWire:
        overhead = self.overheads.cost(StepResources.from_wire(request.get("spent")))
        settlement = await self.ledger.settle(
            wire.owner_from_wire(request), request["response"], overhead, origin=hit_of(request)
        )
        report_turn(ended_turn(request, settlement, self.ledger.clock.now()))
        await self.raise_budget_alarm(request["tenant"], request["response"])
        self.notice(request["tenant"])
        return {"cost": str(settlement.cost)}

    async def raise_budget_alarm(self, tenant: str, response_id: str) -> None:
        """Alarm operators, once a day, where a tenant has spent far more than forecast.

        The one settlement that creates the record of the day raises the alarm.
        """
        counters = self.ledger.budget_counters
        counter = await counters.day_to_report(tenant)
        if counter and await counters.record_report(tenant, counter, by=response_id):
            log.error("budget alarm: tenant %s has spent over 150 %% of the day's forecast (%s)", tenant, counter)
            count_budget_alarm(tenant)


def hit_of(request: wire.SettleWire) -> str:
    """Return the origin of a turn that took the answer of another one over while it waited for it."""
    return HIT if request.get("code") == TAKEN_OVER else ""


def ended_turn(request: wire.SettleWire, settlement: Settlement, now: float) -> EndedTurn:
    """Return what is reported of the turn. An orchestration of an earlier release did not say how it ended."""
    return EndedTurn(
        response_id=request["response"],
        tenant=request["tenant"],
        traceparent=request["traceparent"],
        status=request.get("status", ""),
        code=request.get("code", ""),
        settlement=settlement,
        ended_at=now,
        waits=request.get("waits", ()),
    )
