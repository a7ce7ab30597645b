"""Which reservations are set aside, because their turns wait for approvals?

A reservation holds nothing of a budget: attempts do, and none is open then. The sweep does not look at one that is set
aside.
"""

from collections.abc import Sequence
from typing import Final

from clients.clock import Clock
from clients.storage.damage import parsed
from clients.storage.keys import money_key
from clients.storage.port import Body, DocumentStore
from domain.identity.owners import Owner
from domain.money.ledger_records import Reservation, ReservationStatus, reservation_id
from state.money.attempt_changes import open_records, replace_document

LONGEST_S: Final = 32 * 86_400
"""Longer than a turn can last that waits for approvals."""


class ReservationsAside:
    """Sets reservations aside and takes them up again. Every method is safe to repeat."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def set_aside(self, owner: Owner, response_id: str) -> None:
        await self.change(owner, response_id, ReservationStatus.OPEN, ReservationStatus.ASIDE)

    async def take_up(self, owner: Owner, response_id: str) -> None:
        await self.change(owner, response_id, ReservationStatus.ASIDE, ReservationStatus.OPEN)

    async def change(self, owner: Owner, response_id: str, before: ReservationStatus, after: ReservationStatus) -> None:
        identifier = reservation_id(response_id)

        def changed(stored: Body) -> Body | None:
            reservation = parsed(identifier, Reservation.from_document, stored)
            return reservation.with_status(after).to_document() if reservation.status is before else None

        await replace_document(self.store, self.clock, money_key(owner.tenant), identifier, changed)

    async def forgotten(self) -> Sequence[tuple[Owner, Reservation]]:
        """Return the reservations of all tenants that no turn can take up any more, for the sweep."""
        before, aside = self.clock.now() - LONGEST_S, ReservationStatus.ASIDE
        found = await open_records(self.store, "reservation", Reservation.from_document, before=before, status=aside)
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in found)
