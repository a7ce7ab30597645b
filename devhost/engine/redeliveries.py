"""How often was the same work lost with its worker, and is that too often?"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from devhost.console import say
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.store import Store

SUSPECT = 2
LONGEST_WAIT_S = 30.0
COUNT = "INSERT INTO losses (id, count) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1 RETURNING count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """How often work was lost in a row: by the id of an instance, of an entity, or `instance#task` for an activity.

    The file keeps the counts: of activities beside their work, of the others here.
    """

    store: Store
    storage: StorageThread
    counts: dict[str, int] = field(default_factory=dict[str, int])
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    patience_s: float = LONGEST_WAIT_S

    @contextlib.asynccontextmanager
    async def apart(self, id_: str) -> AsyncGenerator[None]:
        """What was lost twice in a row runs alone among its like: none is blamed for its neighbour any more."""
        held = self.counts.get(id_, 0) >= SUSPECT and await self.hold()
        try:
            yield
        finally:
            if held:
                self.alone.release()

    async def hold(self) -> bool:
        """Nobody waits for long: who runs alone may last, or wait himself for what is to come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience_s):
                return await self.alone.acquire()
        return False

    async def recover(self) -> None:
        self.counts.update(await self.storage.run(self.read))

    def read(self) -> list[tuple[str, int]]:
        return self.store.database.execute("SELECT id, count FROM losses").fetchall()

    async def count(self, id_: str, what: str) -> None:
        self.note(id_, what, await self.storage.run(self.write, id_))

    def note(self, id_: str, what: str, times: int) -> None:
        self.counts[id_] = times
        say(f"{what} is handed out again (redelivery {times})")

    def write(self, id_: str) -> int:
        with self.store.transaction() as database:
            return database.execute(COUNT, (id_,)).fetchone()[0]

    async def end(self, id_: str) -> None:
        """What was lost has been done, or given up."""
        if self.counts.pop(id_, 0):
            await self.storage.run(self.forget, id_)

    def forget(self, id_: str) -> None:
        with self.store.transaction() as database:
            forget_losses(database, id_)

    def too_many(self, id_: str, limit: int | None, what: str) -> str | None:
        """Why something that may be lost `limit` times is not tried again; None while it is."""
        times = self.counts.get(id_, 0)
        if limit is None or times <= limit:
            return None
        say(f"{what} is given up after {times} lost runs")
        return f"its worker was lost {times} times while it ran"


def forget_losses(database: sqlite3.Connection, id_: str) -> None:
    database.execute("DELETE FROM losses WHERE id = ?", (id_,))
