"""Has a tenant's spend of the day reached a step of its forecast, while its turns still run?"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clients.clock import Clock
from clients.orchestrations import delivery_wire
from clients.storage.request_units import leave_meter
from domain import webhook_wire
from domain.errors import GanglionError
from domain.identity.owners import Owner
from domain.money.budget_events import BUDGET_EVENTS, BudgetEvent, event_data, steps_reached
from domain.money.budgets import BudgetScope
from domain.money.spend_forecast import SpendForecast
from domain.money.usage import grouped
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoints
from state.money.budget_status import BudgetStatus, BudgetUse
from state.money.usage_rows import UsageRows
from state.webhook_outbox import WebhookOutbox

log = logging.getLogger(__name__)

NOBODY = "budgets"
"""Takes the place of a subject: an event of a tenant belongs to no person. No subject has this name."""


class BudgetWatch:
    """Looks at the day of a tenant when an attempt has reserved its cost, and when a turn has settled.

    Each step is announced once: its marker and its deliveries are one commit. They are tried at once; what fails or is
    lost with the process is delivered by the sweep. Without a webhook that wants the events, nothing is read.
    """

    def __init__(
        self,
        *,
        status: BudgetStatus,
        usage: UsageRows,
        outbox: WebhookOutbox,
        endpoints: WebhookEndpoints,
        deliver: Callable[[webhook_wire.DeliverWebhookWire], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self.status = status
        self.usage = usage
        self.outbox = outbox
        self.endpoints = endpoints
        self.deliver = deliver
        self.clock = clock
        self.known: set[str] = set()
        self.noticed: dict[str, bool] = {}
        self.tasks: set[asyncio.Task[Any]] = set()

    def notice(self, tenant: str) -> None:
        """Look at the tenant's day in the background: no turn waits for it, or pays for what it reads.

        What is noticed during a look is looked at together, after it.
        """
        if not any(self.endpoints.wanting(tenant, each) for each in BUDGET_EVENTS):
            return
        if tenant in self.noticed:
            self.noticed[tenant] = True
            return
        self.noticed[tenant] = True
        task = asyncio.create_task(self.look_while_noticed(tenant))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def look_while_noticed(self, tenant: str) -> None:
        leave_meter()
        try:
            while self.noticed[tenant]:
                self.noticed[tenant] = False
                await self.look_safely(tenant)
        finally:
            del self.noticed[tenant]

    async def look_safely(self, tenant: str) -> None:
        try:
            await self.look(tenant)
        except GanglionError as error:
            log.warning("tenant %s: its spending could not be compared with its forecast: %s", tenant, error)

    async def look(self, tenant: str) -> None:
        """Announce each step that the tenant's day has reached and that was not announced before."""
        uses = await self.status.uses(Owner(tenant=tenant, subject=NOBODY))
        today = next((each for each in uses if each.counter.scope is BudgetScope.TENANT_DAY), None)
        forecast = await self.status.forecast(tenant, today.counter) if today else None
        if today is None or forecast is None:
            return
        for step in steps_reached(today.taken, forecast):
            if f"{tenant} {today.counter.id} {step}" not in self.known:
                await self.announce(await self.event(tenant, today, forecast, step))

    async def event(self, tenant: str, today: BudgetUse, forecast: SpendForecast, step: Decimal) -> BudgetEvent:
        data = event_data(
            tenant,
            spent=today.spent,
            held=today.held,
            forecast=forecast,
            step=step,
            causes=await self.causes(tenant),
        )
        return BudgetEvent(tenant=tenant, counter=today.counter.id, step=step, data=data)

    async def causes(self, tenant: str) -> Mapping[str, int]:
        """Return what today's money was spent for, in nano-dollars by cause."""
        day = datetime.fromtimestamp(self.clock.now(), tz=UTC).date().isoformat()
        rows = grouped(await self.usage.of_tenant(tenant, first=day, last=day, by=()), ())
        return rows[0].causes if rows else {}

    async def announce(self, event: BudgetEvent) -> None:
        owner = Owner(tenant=event.tenant, subject=NOBODY)
        deliveries = self.deliveries(event, owner)
        is_first = await self.outbox.announce(owner, event.pseudo_response, deliveries)
        self.known.add(f"{event.tenant} {event.counter} {event.step}")
        if is_first:
            log.warning(
                "%s: tenant %s has reached %d %% of the day's forecast", event.type, event.tenant, event.step * 100
            )
            await asyncio.gather(*(self.deliver(delivery_wire(each)) for each in deliveries))

    def deliveries(self, event: BudgetEvent, owner: Owner) -> Sequence[WebhookDelivery]:
        now = self.clock.now()
        return [
            WebhookDelivery(
                owner=owner,
                response=event.pseudo_response,
                status=None,
                at=now,
                endpoint=each.name,
                due_at=now,
                event={"type": event.type, "data": dict(event.data)},
            )
            for each in self.endpoints.wanting(event.tenant, event.type)
        ]
