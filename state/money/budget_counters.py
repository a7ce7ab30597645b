"""How do an attempt's record, the budgets that it counts in and its row of usage change in one batch?

A batch whose counter is not there yet creates it and is tried again; all else that a batch refuses is for the caller.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from clients.clock import Clock
from clients.storage.paging import some
from clients.storage.port import Add, Body, Container, Create, DocumentKey, DocumentStore, Replace
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

    def names(self, tenant: str, attempt: AttemptRecord) -> tuple[str, ...]:
        """Return the ids of the counters that a new attempt counts in."""
        return tuple(self.counters(tenant, subject=attempt.subject, response=attempt.response, at=attempt.started_at))

    async def check(self, owner: Owner, response: str, amount: Decimal) -> str:
        """Return a warning where a budget is nearly used up, else nothing; raises Exhausted where one has no room.

        Nothing is held: between here and the turn's attempts others may take what is there.
        """
        standing = await self.standing(owner, response)
        limited, taken = [each for each, _ in standing], {each.id: amount for each, amount in standing}
        refused = refusal(limited, taken, amount)
        if refused:
            raise no_room(refused)
        near = warning(self.budgets.of(owner.tenant), limited, taken, amount)
        return f"{near.value} {NEARLY}" if near else ""

    async def taken(self, tenant: str, counter: str) -> int:
        found = await self.store.read(DocumentKey(container=Container.MONEY, parts=(tenant,)), counter)
        return found.body[TAKEN] if found else 0

    async def alarm(self, tenant: str) -> str:
        """Return the day on which a tenant spends far more than was forecast, where nobody was told yet; else nothing.

        Whoever is given it tells, then notes that with `alarmed`: a crash between the two may tell twice.
        """
        counter = tenant_day(self.budgets, self.clock.now())
        forecast = self.budgets.of(tenant).forecast or await self.learned(tenant, counter)
        if forecast is None:
            return ""
        key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        found = await self.store.read(key, counter)
        if not found or not is_alarming(forecast, found.body) or await self.store.read(key, alarm_of(counter)):
            return ""
        return counter

    async def learned(self, tenant: str, today: str) -> Decimal | None:
        """Return the forecast that the last days make; a process looks once a day for each tenant."""
        if self.forecasts.get(tenant, ("", None))[0] != today:
            now, key = self.clock.now(), DocumentKey(container=Container.MONEY, parts=(tenant,))
            names = [tenant_day(self.budgets, now - number * DAY_S) for number in range(1, LEARNED_DAYS + 1)]
            days = [spent(found.body) for found in await some(self.store, key, names) if found]
            self.forecasts[tenant] = (today, learned_forecast(days))
        return self.forecasts[tenant][1]

    async def alarmed(self, tenant: str, counter: str) -> None:
        body = {"kind": "alarm", "v": 1, "at": self.clock.now()}
        await self.begin(DocumentKey(container=Container.MONEY, parts=(tenant,)), alarm_of(counter), body)

    async def hold(
        self, key: DocumentKey, write: Create | Replace, *, before: AttemptRecord | None, after: AttemptRecord
    ) -> None:
        """Write the record of an attempt that opens; raises Exhausted where a budget has no room for what it holds."""
        counters = self.counters(key.parts[0], subject=after.subject, response=after.response, at=after.started_at)
        limits = {each.id: each.limit for each in counters.values() if each.limit is not None}
        try:
            await self.write(key, write, before=before, after=after, limits=limits)
        except Exhausted as error:
            raise no_room(counters[error.identifier].scope) from error

    async def write(
        self,
        key: DocumentKey,
        write: Create | Replace,
        *,
        before: AttemptRecord | None,
        after: AttemptRecord,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """Write an attempt's record and count what changes by it. Raises Conflict where the record is another."""
        amounts, known, row = moved(before, after), limits or {}, row_of(after)
        adds = [Add(id=name, amounts=amounts, at_most=at_most(known.get(name))) for name in after.counters]
        await self.count(key, write, adds, row, newly_used(before, after))

    async def count(
        self,
        key: DocumentKey,
        write: Create | Replace | Add,
        adds: Sequence[Add],
        row: UsageRow,
        used: Mapping[str, int],
    ) -> None:
        """Write a document, and in its batch add to counters and to a row of usage; Conflict is the document's."""
        changes = [each for each in (*adds, Add(id=row.id, amounts=used)) if any(each.amounts.values())]
        missing = {change.id: new_counter(self.clock.now()) for change in changes} | {row.id: row.to_document()}
        while True:
            try:
                return await self.store.commit(key, (write, *changes))
            except Conflict as error:
                if error.identifier not in missing:
                    raise
                await self.begin(key, error.identifier, missing.pop(error.identifier))

    async def add(self, key: DocumentKey, document: str, row: UsageRow, used: Mapping[str, int]) -> None:
        """Add the same to a document and to a row of usage; Conflict says that there is no such document."""
        await self.count(key, Add(id=document, amounts=used), (), row, used)

    async def standing(self, owner: Owner, response: str) -> Sequence[tuple[BudgetCounter, int]]:
        """Return every budget that has a limit, with what is taken of it, in nano-dollars."""
        counters = self.counters(owner.tenant, subject=owner.subject, response=response, at=self.clock.now())
        limited = [each for each in counters.values() if each.limit is not None]
        taken = await asyncio.gather(*(self.taken(owner.tenant, each.id) for each in limited))
        return list(zip(limited, taken, strict=True))

    async def begin(self, key: DocumentKey, counter: str, body: Body) -> None:
        """Create a counter; where another was first, theirs counts."""
        with suppress(Conflict):
            await self.store.commit(key, (Create(id=counter, body=body),))


def alarm_of(counter: str) -> str:
    return f"alarm_{counter}"


def at_most(limit: int | None) -> Mapping[str, int]:
    return {} if limit is None else {TAKEN: limit}


def no_room(scope: BudgetScope) -> Exhausted:
    return Exhausted(f"{scope.value} {NO_ROOM}", identifier=scope.name.lower())
