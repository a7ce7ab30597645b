"""Where is the money of a turn kept, and how does each step stay safe to repeat?

Reservations and attempts share the partition [tenant]; a reservation's and an attempt's id carry their response's, so
that writing one twice is seen.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from clients.clock import Clock
from clients.store import Container, Create, Key, Replace, Store
from domain.errors import Conflict
from domain.money import (
    Attempt,
    AttemptStatus,
    Reservation,
    ReservationStatus,
    attempt_prefix,
    reservation_id,
    turn_cost,
)
from domain.owners import Owner


def money_key(tenant: str) -> Key:
    return Key(container=Container.MONEY, parts=(tenant,))


class Ledger:
    """Reserves before, records during and settles after a turn."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def reserve(self, owner: Owner, response_id: str, amount: Decimal) -> None:
        """Hold the worst case of a turn's cost, in dollars. Safe to repeat."""
        held = Reservation(response=response_id, subject=owner.subject, amount=amount, at=self.clock.now())
        try:
            await self.store.commit(money_key(owner.tenant), (Create(id=held.id, body=held.to_document()),))
        except Conflict:
            return

    async def reservation(self, owner: Owner, response_id: str) -> Reservation | None:
        found = await self.store.read(money_key(owner.tenant), reservation_id(response_id))
        return Reservation.from_document(found.body) if found else None

    async def open_attempt(self, owner: Owner, attempt: Attempt) -> Attempt:
        """Record that an attempt begins. A redelivery keeps the first start and counts itself."""
        key = money_key(owner.tenant)
        try:
            await self.store.commit(key, (Create(id=attempt.id, body=attempt.to_document()),))
        except Conflict:
            return await self.reopen(key, attempt)
        return attempt

    async def reopen(self, key: Key, attempt: Attempt) -> Attempt:
        found = await self.store.read(key, attempt.id)
        if found is None:
            raise Conflict("the attempt vanished", identifier=attempt.id)
        before = Attempt.from_document(found.body)
        again = replace(before, status=AttemptStatus.OPEN, deliveries=before.deliveries + 1)
        await self.store.commit(key, (Replace(id=attempt.id, body=again.to_document(), etag=found.etag),))
        return again

    async def close_attempt(self, owner: Owner, attempt: Attempt) -> None:
        """Record how a run of an attempt ended, once; a run that another has followed closes nothing."""
        key = money_key(owner.tenant)
        found = await self.store.read(key, attempt.id)
        there = Attempt.from_document(found.body) if found else None
        if found and there and there.status is AttemptStatus.OPEN and there.deliveries == attempt.deliveries:
            with suppress(Conflict):
                await self.store.commit(key, (Replace(id=attempt.id, body=attempt.to_document(), etag=found.etag),))

    async def attempts(self, owner: Owner, response_id: str) -> tuple[Attempt, ...]:
        found = await self.store.list(money_key(owner.tenant), prefix=attempt_prefix(response_id))
        return tuple(Attempt.from_document(document.body) for document in found)

    async def settle(self, owner: Owner, response_id: str) -> Decimal:
        """Close the reservation at what the attempts cost, in dollars. Safe to repeat: the first settlement stands."""
        key = money_key(owner.tenant)
        found = await self.store.read(key, reservation_id(response_id))
        attempts = await self.attempts(owner, response_id)
        cost = turn_cost(attempts)
        await self.close_lost(owner, attempts)
        if found is None:
            return cost
        held = Reservation.from_document(found.body)
        if held.status is not ReservationStatus.OPEN:
            return cost if held.cost is None else held.cost
        settled = held.settled(cost=cost, at=self.clock.now())
        await self.store.commit(key, (Replace(id=held.id, body=settled.to_document(), etag=found.etag),))
        return cost

    async def close_lost(self, owner: Owner, attempts: Sequence[Attempt]) -> None:
        """Close the attempts whose end nobody saw, at what was reserved for them."""
        for each in attempts:
            if each.status is AttemptStatus.OPEN:
                cost, now = each.reserved if each.cost is None else each.cost, self.clock.now()
                closed = replace(each, status=AttemptStatus.CLOSED, cost=cost, ended_at=now, result="lost")
                await self.close_attempt(owner, closed)

    async def release(self, tenant: str, response_id: str) -> None:
        """Give back what was held for a response that never came to be. Safe to repeat."""
        key = money_key(tenant)
        found = await self.store.read(key, reservation_id(response_id))
        held = Reservation.from_document(found.body) if found else None
        if found and held and held.status is ReservationStatus.OPEN:
            released = held.released(at=self.clock.now())
            await self.store.commit(key, (Replace(id=held.id, body=released.to_document(), etag=found.etag),))

    async def open_reservations(self, *, before: float) -> Sequence[tuple[Owner, Reservation]]:
        """Return reservations of all tenants that are open since before a time: the sweeper's question."""
        status = ReservationStatus.OPEN.value
        found = await self.store.find(Container.MONEY, kind="reservation", status=status, before=before)
        held = [(each.key.parts[0], Reservation.from_document(each.document.body)) for each in found]
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in held)
