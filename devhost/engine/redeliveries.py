"""How often did the worker die during the same work, and when does that work fail?"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from devhost.console import log_line
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.store import TaskHubStore

ISOLATE_AFTER = 2
ISOLATION_TIMEOUT_S = 5.0
INCREMENT = (
    "INSERT INTO losses (id, count) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1 RETURNING count"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeliveryCounter:
    """Counts consecutive losses by instance id, entity id, or `instance#task` for an activity.

    The database keeps the counts: those of activities in their work row, the others in a table of their own.
    """

    store: TaskHubStore
    storage: StorageThread
    counts: dict[str, int] = field(default_factory=dict[str, int])
    isolation: asyncio.Lock = field(default_factory=asyncio.Lock)
    isolation_timeout_s: float = ISOLATION_TIMEOUT_S

    @contextlib.asynccontextmanager
    async def isolated(self, id_: str, limit: int | None) -> AsyncGenerator[None]:
        """Work that was lost twice in a row runs alone among such work: a crash then has one suspect.

        Without a `limit` no work fails for its losses. Nothing waits then: after several crashes most work in flight
        has been lost twice, and would run one after another.
        """
        suspect = limit is not None and self.counts.get(id_, 0) >= ISOLATE_AFTER
        held = suspect and await self.acquire_isolation()
        try:
            yield
        finally:
            if held:
                self.isolation.release()

    async def acquire_isolation(self) -> bool:
        """Gives up after a timeout: the isolated work may run long, or wait for the work that waits here."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.isolation_timeout_s):
                return await self.isolation.acquire()
        return False

    async def recover(self) -> None:
        self.counts.update(await self.storage.persist(self.read))

    def read(self) -> list[tuple[str, int]]:
        return self.store.database.execute("SELECT id, count FROM losses").fetchall()

    async def record_loss(self, id_: str, what: str) -> None:
        self.set_count(id_, what, await self.storage.persist(self.increment, id_))

    def set_count(self, id_: str, what: str, times: int) -> None:
        self.counts[id_] = times
        log_line(f"{what} is delivered again (redelivery {times})")

    def increment(self, id_: str) -> int:
        with self.store.transaction() as database:
            return database.execute(INCREMENT, (id_,)).fetchone()[0]

    async def clear(self, id_: str) -> None:
        """Forgets the count of work that has completed or failed."""
        if self.counts.pop(id_, 0):
            await self.storage.persist(self.delete, id_)

    def delete(self, id_: str) -> None:
        with self.store.transaction() as database:
            delete_count(database, id_)

    def limit_error(self, id_: str, limit: int | None, what: str) -> str | None:
        """Returns why work that exceeded `limit` redeliveries fails; None while it may run again."""
        times = self.counts.get(id_, 0)
        if limit is None or times <= limit:
            return None
        log_line(f"{what} fails: the worker died {times} times while it ran")
        return f"the worker died {times} times while it ran"


def delete_count(database: sqlite3.Connection, id_: str) -> None:
    database.execute("DELETE FROM losses WHERE id = ?", (id_,))
