"""Which GPU sessions of the last hours are over? A process reads them again twice a minute at most."""

from dataclasses import dataclass
from decimal import Decimal

from clients.clock import Clock
from clients.storage.damage import readable
from clients.storage.port import DocumentStore
from domain.fleet.catalog import Backend
from domain.money.ledger_records import NANOS
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, session_cost
from state.fleet.backend_state import backend_key
from state.money.gpu_session_billing import session_of
from state.money.session_documents import closed_id

REACH_S = 24 * 3600
FRESH_S = 30.0
MOST = 100
"""How many sessions of a backend are shown: the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """A session that is over, when its machine stopped (seconds since the epoch), and what it cost in dollars."""

    session: GpuSession
    ended_at: float
    cost: Decimal

    @property
    def served(self) -> bool:
        """Whether it answered anything: a warm-up alone answers nothing."""
        return self.session.members > bool(self.session.warm_up_record)


class RecentSessions:
    """The ended sessions of the backends that are paid by time."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.known: dict[str, tuple[float, tuple[EndedSession, ...]]] = {}

    async def of(self, backend: Backend) -> tuple[EndedSession, ...]:
        """Return the sessions that began in the last day, oldest first."""
        price, now = backend.price, self.clock.now()
        if not isinstance(price, TimePrice):
            return ()
        read_at, found = self.known.get(backend.name, (0.0, ()))
        if not 0 <= now - read_at < FRESH_S:
            found = await self.read(backend, price, now - REACH_S)
            self.known[backend.name] = (now, found)
        return found

    async def read(self, backend: Backend, price: TimePrice, since: float) -> tuple[EndedSession, ...]:
        after = closed_id(f"{round(since * 1000):015d}")
        documents = await self.store.list(backend_key(backend), prefix=closed_id(""), after=after)
        return tuple(ended_session(each, price) for each in readable(documents, session_of))[-MOST:]


def ended_session(session: GpuSession, price: TimePrice) -> EndedSession:
    return EndedSession(
        session=session, ended_at=session.expiry(price.idle_s), cost=session_cost(session, price) / NANOS
    )
