"""What does a call of a tool reserve before it is sent, and what is it charged afterwards?

A call whose end was not recorded is charged what it has reserved, like an attempt whose worker died.
"""

from copy import replace
from decimal import Decimal

from msgspec import Struct

from activities.tools.call_task import CallTask
from clients.clock import Clock
from domain.money.attempt_charge import AttemptCharge
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptRecord, reopened
from domain.tools.rounds import next_round_cost
from domain.turns.origins import origin_of
from state.money.ledger import Ledger


class CallBilling(Struct, frozen=True, kw_only=True):
    """Opens and closes the records of calls of tools that have a price."""

    ledger: Ledger
    clock: Clock

    async def open(self, task: CallTask) -> AttemptRecord | None:
        """Reserve what the call costs at most, on top of what its earlier runs may have cost; None without a price.

        Every budget keeps enough for the round that reads the result. Raises Exhausted.
        """
        worst = task.tool.worst_cost
        if not worst:
            return None
        record = await self.ledger.counted(task.owner, self.new_record(task))

        def opened(stored: AttemptRecord | None) -> AttemptRecord:
            return reopened(stored, worst) if stored else record

        following = await self.following_cost(task)
        return await self.ledger.update_attempt(task.owner, record.id, opened, beside=following)

    async def close(self, task: CallTask, opened: AttemptRecord | None, *, requests: int) -> None:
        """Charge the requests that may have reached the server."""
        if opened is None:
            return
        cost = opened.charge.reserved - task.tool.worst_cost + requests * task.tool.price
        progress = replace(opened.progress, ended_at=self.clock.now(), result="called")
        charge = opened.charge.closed(cost, line=BillLine.TOOLS)
        await self.ledger.close_attempt(task.owner, replace(opened, charge=charge, progress=progress))

    async def following_cost(self, task: CallTask) -> Decimal:
        """Return what the round may cost that reads the result; before the first round, what the turn has reserved."""
        attempts = await self.ledger.attempts(task.owner, task.response.id)
        if attempts:
            return next_round_cost(attempts[-1].charge.reserved)
        reservation = await self.ledger.reservation(task.owner, task.response.id)
        return reservation.amount if reservation else Decimal(0)

    def new_record(self, task: CallTask) -> AttemptRecord:
        return AttemptRecord(
            response=task.response.id,
            subject=task.owner.subject,
            number=0,
            backend=f"tool:{task.server.label}",
            price=task.tool.name,
            started_at=self.clock.now(),
            charge=AttemptCharge(reserved=task.tool.worst_cost),
            conversation=task.response.history.conversation or "",
            call=task.item.id,
            origin=origin_of(task.response.options),
        )
