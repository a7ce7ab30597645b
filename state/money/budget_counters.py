"""How do an attempt's record, its budget counters and its usage row change in one batch?

A batch whose counter does not exist yet creates the counter and runs again. Every other conflict is the caller's.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_creating, create_once
from clients.storage.paging import read_many
from clients.storage.port import Add, Container, Create, DocumentKey, DocumentStore, Replace
from domain.errors import Exhausted
from domain.identity.owners import Owner
from domain.money.budgets import (
    HELD,
    LEARNED_DAYS,
    TAKEN,
    BudgetCounter,
    Budgets,
    BudgetScope,
    BudgetShortfall,
    counter_changes,
    counters_of,
    exceeded_budget,
    is_alarming,
    learned_forecast,
    nearly_used_budget,
    new_counter,
    spent,
    tenant_day_counter_id,
)
from domain.money.ledger_records import NANOS, AttemptRecord, nanos
from domain.money.usage import UsageRow, row_for_attempt, usage_changes
from domain.money.usage_rollups import RollUpChange, roll_up_change
from state.money.limit_changes import ChangedLimits
from state.money.usage_rows import begin_roll_ups
from telemetry.turn_metrics import measure_budget, measure_forecast

log = logging.getLogger(__name__)

NEARLY = "is nearly used up."
DAY_S = 86_400


class RecordChange(NamedTuple):
    """A write of an attempt's record, with the record before and after it."""

    write: Create | Replace
    before: AttemptRecord | None
    after: AttemptRecord


class Cover(NamedTuple):
    """What the budgets leave a turn in dollars, not counting what others only hold; None where none has a limit.

    `warning` is set where a budget is nearly used up.
    """

    warning: str
    left: Decimal | None


class BudgetCounters:
    """The counters of all tenants."""

    def __init__(self, store: DocumentStore, clock: Clock, budgets: Budgets) -> None:
        self.store = store
        self.clock = clock
        self.configured = budgets
        self.changes = ChangedLimits(store, clock)
        self.recent: dict[str, tuple[str, Sequence[int]]] = {}

    async def budgets(self, tenant: str) -> Budgets:
        """Return the budgets in force for a tenant: the configured ones, with what an operator has changed."""
        return (await self.changes.current(tenant)).budgets(self.configured.of(tenant))

    async def counters(
        self, tenant: str, *, subject: str, response: str, at: float, origin: str = ""
    ) -> Mapping[str, BudgetCounter]:
        budgets = await self.budgets(tenant)
        return counters_of(budgets, subject=subject, response=response, at=at, origin=origin)

    async def counter_ids(self, tenant: str, attempt: AttemptRecord) -> tuple[str, ...]:
        """Return the ids of the counters to which a new attempt is added."""
        return tuple(await self.counters_of_attempt(tenant, attempt))

    async def counters_of_attempt(self, tenant: str, attempt: AttemptRecord) -> Mapping[str, BudgetCounter]:
        subject, response, at = attempt.subject, attempt.response, attempt.started_at
        return await self.counters(tenant, subject=subject, response=response, at=at, origin=attempt.origin)

    async def check(
        self, owner: Owner, response: str, amount: Decimal, *, needed: Decimal | None = None, origin: str = ""
    ) -> Cover:
        """Return what the budgets leave a turn; raises Exhausted where one has no room for what is `needed`.

        By default that is the whole amount. Nothing is reserved: other turns may use the budget before the attempts of
        this turn do. What other turns hold may come back, so only what is spent can leave no room.
        """
        needed = amount if needed is None else needed
        counters = await self.limited_counts(owner, response, origin)
        limited, taken = [each for each, _ in counters], {each.id: body[TAKEN] for each, body in counters}
        for each in limited:
            if each.limit:
                measure_budget(owner.tenant, each.scope.name.lower(), taken[each.id] / each.limit)
        paid = {each.id: spent(body) for each, body in counters}
        exceeded = exceeded_budget(limited, paid, needed)
        if exceeded:
            raise self.exhausted(exceeded, response, needed=nanos(needed), counts=dict(counters)[exceeded])
        nearly = nearly_used_budget(await self.budgets(owner.tenant), limited, taken, amount)
        left = min((Decimal((each.limit or 0) - paid[each.id]) / NANOS for each in limited), default=None)
        return Cover(f"{nearly.value} {NEARLY}" if nearly else "", left)

    async def counts(self, tenant: str, counter: str) -> Mapping[str, Any]:
        """Return the nano-dollars of a counter: what is taken, and what of that is only held."""
        found = await self.store.read(DocumentKey(container=Container.MONEY, parts=(tenant,)), counter)
        return found.body if found else {TAKEN: 0, HELD: 0}

    async def day_to_report(self, tenant: str) -> str:
        """Return the counter of today where a tenant spends far more than forecast and no report was made; else "".

        Whoever then records the report with `record_report` makes it.
        """
        counter = tenant_day_counter_id(self.configured, self.clock.now())
        forecast = (await self.budgets(tenant)).forecast or learned_forecast(await self.recent_days(tenant, counter))
        if forecast is None:
            return ""
        key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        found = await self.store.read(key, counter)
        if found and forecast:
            measure_forecast(tenant, spent(found.body) / nanos(forecast))
        if not found or not is_alarming(forecast, found.body) or await self.store.read(key, report_id(counter)):
            return ""
        return counter

    async def recent_days(self, tenant: str, today: str) -> Sequence[int]:
        """Return the nano-dollars spent on each of the last days with a counter; a process reads them once a day.

        `today` is the id of today's counter.
        """
        if self.recent.get(tenant, ("", ()))[0] != today:
            now, key = self.clock.now(), DocumentKey(container=Container.MONEY, parts=(tenant,))
            names = [
                tenant_day_counter_id(self.configured, now - number * DAY_S) for number in range(1, LEARNED_DAYS + 1)
            ]
            days = tuple(spent(found.body) for found in await read_many(self.store, key, names) if found)
            self.recent[tenant] = (today, days)
        return self.recent[tenant][1]

    async def record_report(self, tenant: str, counter: str, *, by: str = "") -> bool:
        """Record that the settlement of the response `by` reports a counter; False where another one does."""
        named = {"by": by} if by else {}
        body = {"kind": "alarm", "v": 1, "at": self.clock.now(), **named}
        key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        return await create_once(self.store, key, Create(id=report_id(counter), body=body))

    async def write_within_limits(self, key: DocumentKey, *changes: RecordChange, beside: Decimal = Decimal(0)) -> None:
        """Write the record of an attempt that opens; raises Exhausted where a budget cannot cover its reservation.

        Every budget keeps `beside` dollars free. Other records of the turn may change in the same batch.
        """
        tenant, opened = key.parts[0], changes[0].after
        counters = await self.counters_of_attempt(tenant, opened)
        limits = {each.id: each.limit - nanos(beside) for each in counters.values() if each.limit is not None}
        try:
            await self.write_attempts(key, *changes, limits=limits)
        except Exhausted as error:
            counter, counts = counters[error.identifier], await self.counts(tenant, error.identifier)
            added = sum(counter_changes(each.before, each.after)[TAKEN] for each in changes)
            raise self.exhausted(counter, opened.response, needed=added + nanos(beside), counts=counts) from error

    def exhausted(self, counter: BudgetCounter, response: str, *, needed: int, counts: Mapping[str, Any]) -> Exhausted:
        """Return the error of a budget that cannot cover the nano-dollars that a turn needs, and log it."""
        limit = counter.limit or 0
        shortfall = BudgetShortfall(
            scope=counter.scope, limit=limit, needed=needed, taken=counts[TAKEN], at=self.clock.now()
        )
        may_return = counter.scope is not BudgetScope.RESPONSE and spent(counts) + needed <= limit
        log.log(
            logging.INFO if may_return else logging.WARNING,
            "%s: its reservation is rejected: %s",
            response,
            shortfall.message,
        )
        return Exhausted(shortfall.message, identifier=counter.scope.name.lower(), may_return=may_return)

    async def write_attempts(
        self, key: DocumentKey, *changes: RecordChange, limits: Mapping[str, int] | None = None
    ) -> None:
        """Write attempts' records and the changes of their counters. Raises Conflict where a record has changed."""
        known = limits or {}
        amounts = summed(
            (name, counter_changes(each.before, each.after)) for each in changes for name in each.after.charge.counters
        )
        adds = [Add(id=name, amounts=added, at_most=limit_of(known.get(name))) for name, added in amounts.items()]
        rows = {row.id: row for row in (row_for_attempt(each.after) for each in changes)}
        used = summed((row_for_attempt(each.after).id, usage_changes(each.before, each.after)) for each in changes)
        writes = [each.write for each in changes]
        await self.commit_with_counts(key, writes, adds, [(rows[name], counts) for name, counts in used.items()])

    async def commit_with_counts(
        self,
        key: DocumentKey,
        writes: Sequence[Create | Replace | Add],
        adds: Sequence[Add],
        used: Sequence[tuple[UsageRow, Mapping[str, int]]],
    ) -> None:
        """Write documents and add to counters, roll-ups and usage rows in one batch.

        Raises Conflict for the documents alone: a conflict of a counter means that it does not exist yet, once for
        each.
        """
        rolled = [roll_up_change(row, counts) for row, counts in used]
        uses = [Add(id=row.id, amounts=counts) for row, counts in used]
        rolls = [Add(id=each.id, amounts=each.amounts) for each in rolled]
        changes = [each for each in (*rolls, *adds, *uses) if any(each.amounts.values())]
        missing = {change.id: new_counter(self.clock.now()) for change in changes}
        missing |= {row.id: row.to_document() for row, _ in used} | {each.id: each.empty for each in rolled}
        create = {name: partial(self.create, key, name, body, rolled) for name, body in missing.items()}
        await commit_creating(self.store, key, (*writes, *changes), create)

    async def create(
        self, key: DocumentKey, identifier: str, body: Mapping[str, Any], rolled: Sequence[RollUpChange]
    ) -> None:
        """Create a counter, a usage row or a roll-up."""
        if any(each.id == identifier for each in rolled):
            await begin_roll_ups(self.store, key, now=self.clock.now())
        await create_once(self.store, key, Create(id=identifier, body=body))

    async def add_counts(self, key: DocumentKey, document: str, row: UsageRow, used: Mapping[str, int]) -> None:
        """Add the same amounts to a document and to a usage row; raises Conflict where the document does not exist."""
        await self.commit_with_counts(key, (Add(id=document, amounts=used),), (), ((row, used),))

    async def left(self, owner: Owner, response: str, origin: str = "") -> Decimal | None:
        """Return how many dollars all budgets leave a turn; None where none of them has a limit."""
        counters = await self.limited_counters(owner, response, origin)
        return min((Decimal((each.limit or 0) - taken) / NANOS for each, taken in counters), default=None)

    async def limited_counters(
        self, owner: Owner, response: str, origin: str = ""
    ) -> Sequence[tuple[BudgetCounter, int]]:
        """Return every counter that has a limit, with the nano-dollars taken of it."""
        return [(each, counts[TAKEN]) for each, counts in await self.limited_counts(owner, response, origin)]

    async def limited_counts(
        self, owner: Owner, response: str, origin: str = ""
    ) -> Sequence[tuple[BudgetCounter, Mapping[str, Any]]]:
        """Return every counter that has a limit, with what is taken of it, and what of that is held."""
        subject, at = owner.subject, self.clock.now()
        counters = await self.counters(owner.tenant, subject=subject, response=response, at=at, origin=origin)
        limited = [each for each in counters.values() if each.limit is not None]
        counts = await asyncio.gather(*(self.counts(owner.tenant, each.id) for each in limited))
        return list(zip(limited, counts, strict=True))


def summed(changes: Iterable[tuple[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Return the sums of amounts by document and field."""
    sums: dict[str, dict[str, int]] = {}
    for document, amounts in changes:
        known = sums.setdefault(document, {})
        for name, amount in amounts.items():
            known[name] = known.get(name, 0) + amount
    return sums


def report_id(counter: str) -> str:
    return f"alarm_{counter}"


def limit_of(limit: int | None) -> Mapping[str, int]:
    return {} if limit is None else {TAKEN: limit}
