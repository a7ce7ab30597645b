"""How does the store serve the runs of many turns that nobody follows, in fewer calls?

Inside `sparing` a run does not read again what it has read or written of its own turn, and its commits wait a moment
for those of other runs in the same partition. Everywhere else the store is used as it is.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import replace
from functools import partial
from typing import Final

from clients.clock import Clock
from clients.storage.group_commit import GroupCommit
from clients.storage.port import (
    Container,
    Create,
    Document,
    DocumentKey,
    DocumentStore,
    FoundDocument,
    Operation,
    Replace,
)
from clients.storage.request_units import add_part
from clients.storage.sparing.commits import Committed, Outcome, commit_all
from clients.storage.sparing.memory import UNKNOWN, TurnMemory, written_document
from domain.errors import Conflict

LINGER_S: Final = 0.002
"""A commit waits so long for others: twelve of them make a line take a quarter of a second longer."""

MOST_AT_ONCE: Final = 64

LEARNED: Final = frozenset({"answers"})
"""The documents that runs of many turns read and change; a little later they are as good."""

RECENT_S: Final = 2.0

MOST_RECENT: Final = 64
"""Where so many are known, those that are no longer recent are forgotten."""

type Commits = GroupCommit[Sequence[Operation], Committed]

memory_now: ContextVar[TurnMemory | None] = ContextVar("turn_memory", default=None)


def forget_turn() -> None:
    """Read everything again from here on, where this is a run inside `sparing`."""
    memory = memory_now.get()
    if memory:
        memory.forget()


class SparingStore:
    """A store that runs of turns inside `sparing` call less often."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.runs = 0
        self.groups: dict[DocumentKey, Commits] = {}
        self.recent: dict[tuple[DocumentKey, str], tuple[float, Document]] = {}

    @contextmanager
    def sparing(self, token: str) -> Generator[TurnMemory]:
        """Spare calls for the run of the turn whose documents have `token` in their ids."""
        memory = TurnMemory(token=token)
        reset = memory_now.set(memory)
        self.runs += 1
        try:
            yield memory
        finally:
            self.runs -= 1
            memory_now.reset(reset)

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        memory = memory_now.get()
        if not memory:
            return await self.store.read(key, identifier)
        known = memory.documents.get((key, identifier)) or self.recent_document(key, identifier)
        if known:
            return known
        found = await self.store.read(key, identifier)
        if found:
            memory.keep(key, found)
            if identifier in LEARNED:
                self.learn(key, found)
        return found

    def learn(self, key: DocumentKey, document: Document) -> None:
        now = self.clock.now()
        if len(self.recent) >= MOST_RECENT:
            self.recent = {name: each for name, each in self.recent.items() if now < each[0] + RECENT_S}
        self.recent[key, document.id] = now, document

    def recent_document(self, key: DocumentKey, identifier: str) -> Document | None:
        """Return what was learned for all turns of an owner or tenant, where it was read shortly before."""
        read_at, found = self.recent.get((key, identifier), (0.0, None))
        return found if self.clock.now() < read_at + RECENT_S else None

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        memory = memory_now.get()
        known = memory.found(key, prefix, after, limit) if memory else None
        if known is not None:
            return known
        found = await self.store.list(key, prefix=prefix, after=after, limit=limit)
        if memory and not after and len(found) < limit:
            memory.keep_list(key, prefix, found)
        return found

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        memory = memory_now.get()
        if not memory:
            return await self.store.commit(key, operations)
        try:
            resolved = [await self.resolved(memory, key, each) for each in operations]
            etags = await self.commit_with_others(key, resolved)
        except BaseException:
            memory.forget()
            self.recent.clear()
            raise
        memory.note(key, operations, etags)
        self.note_learned(key, operations, etags)
        return etags

    def note_learned(self, key: DocumentKey, operations: Sequence[Operation], etags: Sequence[str]) -> None:
        for each, etag in zip(operations, etags, strict=True):
            if each.id in LEARNED and isinstance(each, Create | Replace):
                self.learn(key, written_document(each, etag))

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        return await self.store.find(container, kind=kind, status=status, before=before, limit=limit)

    async def close(self) -> None:
        await self.store.close()

    async def resolved(self, memory: TurnMemory, key: DocumentKey, operation: Operation) -> Operation:
        """Return an operation with the etag of the document that it replaces; raises Conflict where that changed."""
        if not isinstance(operation, Replace) or operation.etag != UNKNOWN:
            return operation
        known, found = memory.documents.get((key, operation.id)), await self.store.read(key, operation.id)
        if known is None or found is None or found.body != known.body:
            raise Conflict(f"{operation.id!r} is not as expected", identifier=operation.id)
        return replace(operation, etag=found.etag)

    async def commit_with_others(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        group = self.groups.get(key)
        if group is None:
            write = partial(self.commit_group, key)
            group = self.groups[key] = GroupCommit(write, most=MOST_AT_ONCE, linger=self.linger)
        try:
            done = await group.submit(operations)
        finally:
            if group.is_idle:
                self.groups.pop(key, None)
        add_part(done.charge)
        return done.etags

    async def commit_group(self, key: DocumentKey, commits: Sequence[Sequence[Operation]]) -> Sequence[Outcome]:
        return await commit_all(self.store, key, commits)

    async def linger(self) -> None:
        """Wait for the commits of others, if there are other runs."""
        if self.runs > 1:
            await self.clock.sleep(LINGER_S)
