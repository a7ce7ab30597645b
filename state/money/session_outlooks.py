"""Which open GPU sessions does a turn pay for, who shares them, and what will its part be?"""

from collections.abc import Sequence

from msgspec import Struct

from clients.clock import Clock
from clients.storage.damage import readable
from clients.storage.paging import list_all
from clients.storage.port import Document, DocumentStore
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.numbered import instances_of
from domain.identity.owners import Owner
from domain.money.ledger_records import AttemptRecord
from domain.money.sessions.gpu_sessions import SessionSpan
from domain.money.sessions.outlook import SessionOutlook, outlook
from state.fleet.state_documents import backend_key
from state.money.gpu_sessions import GpuSessions
from state.money.session_documents import share_name, span_prefix

MAX_MEMBERS = 500
"""The outlook of a session with more members takes too long for a request; its turns get none."""


class SharedSession(Struct, frozen=True, kw_only=True):
    """An open session of a backend, or of one instance of it, in which records of a turn take part.

    `responses` are the turns of the same owner in it, and `others` counts the members of other owners.
    """

    backend: Backend
    outlook: SessionOutlook
    records: tuple[AttemptRecord, ...]
    responses: tuple[str, ...]
    others: int


class SessionOutlooks:
    """Reads the open sessions that the records of a turn are charged for."""

    def __init__(self, *, store: DocumentStore, sessions: GpuSessions, fleet: Fleet, clock: Clock) -> None:
        self.store = store
        self.sessions = sessions
        self.fleet = fleet
        self.clock = clock

    async def of(self, owner: Owner, records: Sequence[AttemptRecord]) -> tuple[SharedSession, ...]:
        """Return the open sessions of a turn's records that are not billed yet."""
        names = sorted({each.backend for each in records if open_shares(each)})
        backends = [self.fleet.backends[name] for name in names if self.knows(name)]
        machines = [one for each in backends for one in instances_of(each)]
        found = [await self.shared(owner, one, records) for one in machines]
        return tuple(each for each in found if each is not None)

    def knows(self, name: str) -> bool:
        return name in self.fleet.backends

    async def shared(self, owner: Owner, backend: Backend, records: Sequence[AttemptRecord]) -> SharedSession | None:
        """Return the session that is shared; None without one, and where a member's part cannot be read."""
        session, price = (await self.sessions.current(backend)).session, self.sessions.price(backend)
        if session is None or price is None or session.members > MAX_MEMBERS:
            return None
        charged = tuple(each for each in records if share_name(backend.name, session.id) in open_shares(each))
        if not charged:
            return None
        documents = await list_all(self.store, backend_key(backend), prefix=span_prefix(session.id))
        spans = list(readable(documents, session_span))
        if len(spans) < len(documents):
            return None
        own = [each for each in spans if (each.tenant, each.subject) == (owner.tenant, owner.subject)]
        members = {span.record for span in spans}
        return SharedSession(
            backend=backend,
            outlook=outlook(session, spans, price, self.clock.now()),
            records=tuple(each for each in charged if each.id in members),
            responses=tuple(sorted({each.response for each in own})),
            others=len(spans) - len(own),
        )


def session_span(document: Document) -> SessionSpan:
    return document.read_as(SessionSpan.from_document)


def open_shares(record: AttemptRecord) -> frozenset[str]:
    """Return the names of the sessions whose share of a record is not final."""
    return frozenset(name for name, share in record.charge.shares.items() if not share.final)
