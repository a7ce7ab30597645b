"""How much of each budget is used, and what will the tenant have spent at the end of the day?"""

import asyncio

from msgspec import Struct

from clients.clock import Clock
from clients.storage.keys import money_key
from clients.storage.port import DocumentStore
from domain.identity.owners import Owner
from domain.money.budgets import HELD, TAKEN, BudgetCounter, BudgetScope
from domain.money.spend_forecast import SpendForecast, forecast_of
from state.money.budget_counters import BudgetCounters


class BudgetUse(Struct, frozen=True, kw_only=True):
    """A counter, the nano-dollars that were spent of it, and those that running attempts hold."""

    counter: BudgetCounter
    spent: int
    held: int

    @property
    def taken(self) -> int:
        return self.spent + self.held


class BudgetStatus:
    """Reads the counters that count an owner, and the forecast of its tenant."""

    def __init__(self, store: DocumentStore, clock: Clock, counters: BudgetCounters) -> None:
        self.store = store
        self.clock = clock
        self.counters = counters

    async def uses(self, owner: Owner) -> tuple[BudgetUse, ...]:
        """Return the use of every counter of the current day and month that counts the owner."""
        counters = await self.counters.counters(owner.tenant, subject=owner.subject, response="", at=self.clock.now())
        counted = [each for each in counters.values() if each.scope is not BudgetScope.RESPONSE]
        return tuple(await asyncio.gather(*(self.use(owner.tenant, each) for each in counted)))

    async def use(self, tenant: str, counter: BudgetCounter) -> BudgetUse:
        found = await self.store.read(money_key(tenant), counter.id)
        taken, held = (found.body[TAKEN], found.body[HELD]) if found else (0, 0)
        return BudgetUse(counter=counter, spent=taken - held, held=held)

    async def forecast(self, tenant: str, today: BudgetCounter) -> SpendForecast | None:
        """Return the forecast of a tenant's day; `today` is the counter of its day."""
        configured = (await self.counters.budgets(tenant)).forecast
        days = () if configured is not None else await self.counters.recent_days(tenant, today.id)
        return forecast_of(configured, days)
