"""How do an attempt's record, its budget counters and its usage row change in one batch?

A batch whose counter does not exist yet creates the counter and runs again. Every other conflict is the caller's.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

from clients.clock import Clock
from clients.storage.compare_and_swap import create_once
from clients.storage.paging import read_many
from clients.storage.port import Add, Container, Create, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict, Exhausted
from domain.identity.owners import Owner
from domain.money.budgets import (
    LEARNED_DAYS,
    TAKEN,
    BudgetCounter,
    Budgets,
    BudgetScope,
    counters_of,
    is_alarming,
    learned_forecast,
    moved,
    new_counter,
    refusal,
    spent,
    tenant_day,
    warning,
)
from domain.money.ledger_records import AttemptRecord
from domain.money.usage import UsageRow, newly_used, row_of

NO_ROOM = "has no room for this turn."
NEARLY = "is nearly used up."
DAY_S = 86_400


class BudgetCounters:
    """The counters of all tenants."""

    def __init__(self, store: DocumentStore, clock: Clock, budgets: Budgets) -> None:
        self.store = store
        self.clock = clock
        self.budgets = budgets
        self.forecasts: dict[str, tuple[str, Decimal | None]] = {}

    def counters(self, tenant: str, *, subject: str, response: str, at: float) -> Mapping[str, BudgetCounter]:
        return counters_of(self.budgets.of(tenant), subject=subject, response=response, at=at)

    def counter_ids(self, tenant: str, attempt: AttemptRecord) -> tuple[str, ...]:
        """Return the ids of the counters to which a new attempt is added."""
        return tuple(self.counters(tenant, subject=attempt.subject, response=attempt.response, at=attempt.started_at))

    async def check(self, owner: Owner, response: str, amount: Decimal) -> str:
        """Return a warning where a budget is nearly used up, else ""; raises Exhausted where a budget has no room.

        Nothing is reserved: other turns may use the budget before the attempts of this turn do.
        """
        counters = await self.limited_counters(owner, response)
        limited, taken = [each for each, _ in counters], {each.id: amount for each, amount in counters}
        exceeded = refusal(limited, taken, amount)
        if exceeded:
            raise exhausted(exceeded)
        nearly = warning(self.budgets.of(owner.tenant), limited, taken, amount)
        return f"{nearly.value} {NEARLY}" if nearly else ""

    async def amount_taken(self, tenant: str, counter: str) -> int:
        found = await self.store.read(DocumentKey(container=Container.MONEY, parts=(tenant,)), counter)
        return found.body[TAKEN] if found else 0

    async def day_to_report(self, tenant: str) -> str:
        """Return the counter of today where a tenant spends far more than forecast and no report was made; else "".

        The caller reports it, then calls `record_report`: a crash between the two may report twice.
        """
        counter = tenant_day(self.budgets, self.clock.now())
        forecast = self.budgets.of(tenant).forecast or await self.learned_forecast(tenant, counter)
        if forecast is None:
            return ""
        key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        found = await self.store.read(key, counter)
        if not found or not is_alarming(forecast, found.body) or await self.store.read(key, report_id(counter)):
            return ""
        return counter

    async def learned_forecast(self, tenant: str, today: str) -> Decimal | None:
        """Return a forecast from the spend of the last days; a process computes it once a day for each tenant."""
        if self.forecasts.get(tenant, ("", None))[0] != today:
            now, key = self.clock.now(), DocumentKey(container=Container.MONEY, parts=(tenant,))
            names = [tenant_day(self.budgets, now - number * DAY_S) for number in range(1, LEARNED_DAYS + 1)]
            days = [spent(found.body) for found in await read_many(self.store, key, names) if found]
            self.forecasts[tenant] = (today, learned_forecast(days))
        return self.forecasts[tenant][1]

    async def record_report(self, tenant: str, counter: str) -> None:
        body = {"kind": "alarm", "v": 1, "at": self.clock.now()}
        key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        await create_once(self.store, key, Create(id=report_id(counter), body=body))

    async def write_within_limits(
        self, key: DocumentKey, write: Create | Replace, *, before: AttemptRecord | None, after: AttemptRecord
    ) -> None:
        """Write the record of an attempt that opens; raises Exhausted where a budget cannot cover its reservation."""
        counters = self.counters(key.parts[0], subject=after.subject, response=after.response, at=after.started_at)
        limits = {each.id: each.limit for each in counters.values() if each.limit is not None}
        try:
            await self.write_attempt(key, write, before=before, after=after, limits=limits)
        except Exhausted as error:
            raise exhausted(counters[error.identifier].scope) from error

    async def write_attempt(
        self,
        key: DocumentKey,
        write: Create | Replace,
        *,
        before: AttemptRecord | None,
        after: AttemptRecord,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """Write an attempt's record and the changes of its counters. Raises Conflict where the record has changed."""
        amounts, known, row = moved(before, after), limits or {}, row_of(after)
        adds = [Add(id=name, amounts=amounts, at_most=limit_of(known.get(name))) for name in after.counters]
        await self.commit_with_counts(key, write, adds, row, newly_used(before, after))

    async def commit_with_counts(
        self,
        key: DocumentKey,
        write: Create | Replace | Add,
        adds: Sequence[Add],
        row: UsageRow,
        used: Mapping[str, int],
    ) -> None:
        """Write a document and add to counters and a usage row in one batch.

        Raises Conflict for the document alone: a conflict of a counter means that it does not exist yet, once for each.
        """
        changes = [each for each in (*adds, Add(id=row.id, amounts=used)) if any(each.amounts.values())]
        missing = {change.id: new_counter(self.clock.now()) for change in changes} | {row.id: row.to_document()}
        while True:
            try:
                return await self.store.commit(key, (write, *changes))
            except Conflict as error:
                if error.identifier not in missing:
                    raise
                await create_once(self.store, key, Create(id=error.identifier, body=missing.pop(error.identifier)))

    async def add_counts(self, key: DocumentKey, document: str, row: UsageRow, used: Mapping[str, int]) -> None:
        """Add the same amounts to a document and to a usage row; raises Conflict where the document does not exist."""
        await self.commit_with_counts(key, Add(id=document, amounts=used), (), row, used)

    async def limited_counters(self, owner: Owner, response: str) -> Sequence[tuple[BudgetCounter, int]]:
        """Return every counter that has a limit, with the nano-dollars taken of it."""
        counters = self.counters(owner.tenant, subject=owner.subject, response=response, at=self.clock.now())
        limited = [each for each in counters.values() if each.limit is not None]
        taken = await asyncio.gather(*(self.amount_taken(owner.tenant, each.id) for each in limited))
        return list(zip(limited, taken, strict=True))


def report_id(counter: str) -> str:
    return f"alarm_{counter}"


def limit_of(limit: int | None) -> Mapping[str, int]:
    return {} if limit is None else {TAKEN: limit}


def exhausted(scope: BudgetScope) -> Exhausted:
    return Exhausted(f"{scope.value} {NO_ROOM}", identifier=scope.name.lower())
