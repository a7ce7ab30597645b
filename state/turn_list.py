"""Which turns has an owner or a tenant, how far have they come, and what did they cost?"""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from clients.storage.keys import money_key
from clients.storage.port import Document, DocumentStore
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.money.bill import TurnBill, bill_of
from domain.money.ledger_records import AttemptRecord, Reservation, reservation_id
from domain.turns.response import Response
from state.money.ledger import Ledger
from state.time_index import IndexPage, IndexRange, read_page, time_entry_id
from state.turn_index import TENANT_PREFIX, owner_prefix
from state.turns.responses import TurnStore

MILLISECOND = 0.001


class TurnSummary(Struct, frozen=True, kw_only=True):
    """A turn with the records of its attempts and warm-ups; nothing of its content is read."""

    turn: Response
    records: tuple[AttemptRecord, ...]
    bill: TurnBill

    @property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        return tuple(each for each in self.records if each.number)


class TurnQuery(Struct, frozen=True, kw_only=True):
    """Up to `limit` turns after the turn `after`, admitted from `first_at` until `end_at` (seconds since the epoch).

    `keeps` tells which turns are listed.
    """

    limit: int
    after: str = ""
    first_at: float | None = None
    end_at: float | None = None
    keeps: Callable[[TurnSummary], bool]


class TurnList:
    """Lists turns, newest first. A deleted turn is not listed; nor is a turn of a release that kept no index."""

    def __init__(self, store: DocumentStore, turns: TurnStore, ledger: Ledger) -> None:
        self.store = store
        self.turns = turns
        self.ledger = ledger

    async def page(self, tenant: str, subject: str | None, query: TurnQuery) -> IndexPage[TurnSummary]:
        """Return turns of an owner, or of a whole tenant where `subject` is None.

        Raises NotFound where `after` is none of these turns.
        """
        prefix = TENANT_PREFIX if subject is None else owner_prefix(subject)

        async def load(entry: Document) -> TurnSummary | None:
            found = await self.summary(Owner(tenant=tenant, subject=entry.body["subject"]), entry)
            return found if found and query.keeps(found) else None

        start = "" if query.end_at is None else time_entry_id(prefix, query.end_at - MILLISECOND)
        if query.after:
            start = time_entry_id(prefix, await self.admitted_at(tenant, subject, query.after), query.after)
        wanted = IndexRange(
            prefix=prefix,
            after=start,
            until="" if query.first_at is None else time_entry_id(prefix, query.first_at - MILLISECOND),
        )
        return await read_page(self.store, money_key(tenant), wanted, load, limit=query.limit)

    async def admitted_at(self, tenant: str, subject: str | None, response_id: str) -> float:
        """Return when a turn was admitted; raises NotFound where it belongs to another owner."""
        found = await self.store.read(money_key(tenant), reservation_id(response_id))
        reservation = found.read_as(Reservation.from_document) if found else None
        if reservation is None or subject not in (None, reservation.subject):
            raise NotFound.by_id("Response", response_id)
        return reservation.at

    async def summary(self, owner: Owner, entry: Document) -> TurnSummary | None:
        """Return the turn of an entry; None where it is deleted, or where a later entry has replaced this one."""
        identifier = entry.body["response"]
        turn, records, reservation = await asyncio.gather(
            self.turn(owner, identifier),
            self.ledger.records(owner, identifier),
            self.ledger.reservation(owner, identifier),
        )
        if turn is None or reservation is None or reservation.at != entry.body["at"]:
            return None
        return TurnSummary(turn=turn, records=records, bill=bill_of(records, reservation))

    async def turn(self, owner: Owner, identifier: str) -> Response | None:
        try:
            return await self.turns.read(owner, identifier)
        except NotFound:
            return None
