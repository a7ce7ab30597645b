"""How often does a worker call its store, and how often is a commit rejected because another writer was faster?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from clients.clock import Clock
from clients.storage.port import Container, Document, DocumentKey, DocumentStore, FoundDocument, Operation
from domain.errors import Conflict


@dataclass(slots=True)
class MeteredStore:
    """A store that is `added_s` seconds farther away: half of them before each call acts, half of them after."""

    store: DocumentStore
    clock: Clock
    added_s: float = 0.0
    calls: Counter[str] = field(default_factory=Counter[str])
    conflicts: Counter[str] = field(default_factory=Counter[str])

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        await self.travel("read")
        found = await self.store.read(key, identifier)
        await self.return_()
        return found

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        await self.travel("list")
        found = await self.store.list(key, prefix=prefix, after=after, limit=limit)
        await self.return_()
        return found

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        await self.travel("commit")
        try:
            return await self.store.commit(key, operations)
        except Conflict as conflict:
            self.conflicts[f"{key.container} {conflict.identifier.partition('_')[0]}"] += 1
            raise
        finally:
            await self.return_()

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        await self.travel("find")
        return await self.store.find(container, kind=kind, status=status, before=before, limit=limit)

    async def close(self) -> None:
        await self.store.close()

    async def travel(self, name: str) -> None:
        self.calls[name] += 1
        await self.return_()

    async def return_(self) -> None:
        if self.added_s:
            await self.clock.sleep(self.added_s / 2)
