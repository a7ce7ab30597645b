"""Where is the money of a turn kept, and how does each step stay safe to repeat?

Reservations and attempts share the partition [tenant]; a reservation's and an attempt's id carry their response's, so
that writing one twice is seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from clients.clock import Clock
from clients.store import Body, Container, Create, Key, Replace, Store
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
        """Hold the worst case of a turn's cost, in dollars. Safe to repeat; one that was released is held again."""
        key = money_key(owner.tenant)
        held = Reservation(response=response_id, subject=owner.subject, amount=amount, at=self.clock.now())

        def again(there: Body) -> Body | None:
            released = ReservationStatus(there["status"]) is ReservationStatus.RELEASED
            return held.to_document() if released else None

        try:
            await self.store.commit(key, (Create(id=held.id, body=held.to_document()),))
        except Conflict:
            await self.change(key, held.id, again)

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
        def again(there: Body) -> Body:
            before = Attempt.from_document(there)
            return replace(before, status=AttemptStatus.OPEN, deliveries=before.deliveries + 1).to_document()

        reopened = await self.change(key, attempt.id, again)
        if reopened is None:
            raise Conflict("the attempt vanished", identifier=attempt.id)
        return Attempt.from_document(reopened)

    async def close_attempt(self, owner: Owner, attempt: Attempt) -> None:
        """Record how a run of an attempt ended, once; a run that another has followed closes nothing."""

        def closed(there: Body) -> Body | None:
            before = Attempt.from_document(there)
            mine = before.status is AttemptStatus.OPEN and before.deliveries == attempt.deliveries
            return attempt.to_document() if mine else None

        await self.change(money_key(owner.tenant), attempt.id, closed)

    async def attempts(self, owner: Owner, response_id: str) -> tuple[Attempt, ...]:
        found = await self.store.list(money_key(owner.tenant), prefix=attempt_prefix(response_id))
        return tuple(Attempt.from_document(document.body) for document in found)

    async def settle(self, owner: Owner, response_id: str) -> Decimal:
        """Close the reservation at what the attempts cost, in dollars. Safe to repeat: the first settlement stands."""
        attempts = await self.attempts(owner, response_id)
        cost, now = turn_cost(attempts), self.clock.now()
        await self.close_lost(owner, attempts)

        def settled(there: Body) -> Body | None:
            held = Reservation.from_document(there)
            return None if held.status is ReservationStatus.SETTLED else held.settled(cost=cost, at=now).to_document()

        standing = await self.change(money_key(owner.tenant), reservation_id(response_id), settled)
        return cost if standing is None else Reservation.from_document(standing).cost or Decimal(0)

    async def close_lost(self, owner: Owner, attempts: Sequence[Attempt]) -> None:
        """Close the attempts whose end nobody saw, at what was reserved for them."""
        for each in attempts:
            if each.status is AttemptStatus.OPEN:
                cost, now = each.reserved if each.cost is None else each.cost, self.clock.now()
                closed = replace(each, status=AttemptStatus.CLOSED, cost=cost, ended_at=now, result="lost")
                await self.close_attempt(owner, closed)

    async def release(self, tenant: str, response_id: str) -> None:
        """Give back what was held for a response that never came to be. Safe to repeat."""
        now = self.clock.now()

        def released(there: Body) -> Body | None:
            held = Reservation.from_document(there)
            return held.released(at=now).to_document() if held.status is ReservationStatus.OPEN else None

        await self.change(money_key(tenant), reservation_id(response_id), released)

    async def change(self, key: Key, identifier: str, decide: Callable[[Body], Body | None]) -> Body | None:
        """Replace a document by what is decided on it, anew while others change it; return what stands then.

        None decides to leave it; None is returned where it is not there.
        """
        while found := await self.store.read(key, identifier):
            decided = decide(found.body)
            if decided is None:
                return found.body
            try:
                await self.store.commit(key, (Replace(id=identifier, body=decided, etag=found.etag),))
            except Conflict:
                continue
            return decided
        return None

    async def open_reservations(self, *, before: float) -> Sequence[tuple[Owner, Reservation]]:
        """Return reservations of all tenants that are open since before a time: the sweeper's question."""
        status = ReservationStatus.OPEN.value
        found = await self.store.find(Container.MONEY, kind="reservation", status=status, before=before)
        held = [(each.key.parts[0], Reservation.from_document(each.document.body)) for each in found]
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in held)
