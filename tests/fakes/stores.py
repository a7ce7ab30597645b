"""Which stores do tests use: one in memory, and one whose calls fail or crash as planned?"""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from random import Random

from clients.clock import Clock
from clients.storage.damage import body_from
from clients.storage.port import (
    Add,
    Body,
    Container,
    Create,
    Delete,
    Document,
    DocumentKey,
    DocumentStore,
    FoundDocument,
    Operation,
    Replace,
)
from clients.storage.validation import check_identifier, check_key, check_range, encoded, incremented, payloads
from domain.errors import Conflict, Unavailable, UnknownOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A document in memory; `find` knows it by what its kind, status and time were when it was written."""

    id: str
    data: bytes
    etag: str
    expires_at: float | None
    kind_and_status: str
    at: float | None

    @property
    def document(self) -> Document:
        return Document(id=self.id, body=body_from(self.id, self.data), etag=self.etag)

    def live(self, now: float) -> bool:
        return self.expires_at is None or self.expires_at > now


type Rows = dict[str, Row]


class MemoryStore:
    """The port over dictionaries. Every call lets other tasks run once, then acts without interruption.

    No call takes longer as the store grows: ids are kept in order, and documents with a status by their kind. Documents
    that have expired are forgotten as soon as a list comes upon them.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.partitions: dict[DocumentKey, Rows] = {}
        self.ids: defaultdict[DocumentKey, list[str]] = defaultdict(list)
        self.by_status: defaultdict[tuple[Container, str], dict[tuple[DocumentKey, str], None]] = defaultdict(dict)
        self.etags = count(1)

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        check_key(key)
        check_identifier(identifier)
        await asyncio.sleep(0)
        row = self.live(key, identifier)
        return row.document if row else None

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        check_key(key)
        check_range(prefix, after)
        await asyncio.sleep(0)
        ids, found, expired = self.ids[key], list[Document](), list[str]()
        for at in range(bisect_left(ids, max(prefix, after)), len(ids)):
            if len(found) >= limit or not ids[at].startswith(prefix):
                break
            row = self.live(key, ids[at])
            if row is None:
                expired.append(ids[at])
            elif ids[at] != after:
                found.append(row.document)
        for identifier in expired:
            self.put(key, identifier, None)
        return found

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        bodies = payloads(key, operations)
        await asyncio.sleep(0)
        changed: dict[str, Row | None] = {}
        for operation, data in zip(operations, bodies, strict=True):
            row = changed[operation.id] if operation.id in changed else self.live(key, operation.id)
            changed[operation.id] = self.applied(row, operation, data)
        for identifier, row in changed.items():
            self.put(key, identifier, row)
        rows = [changed[operation.id] for operation in operations]
        return [row.etag if row else "" for row in rows]

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        await asyncio.sleep(0)
        known = [(key, self.live(key, name)) for key, name in self.by_status[container, named(kind, status)]]
        due = [(row.at, key, row) for key, row in known if row and row.at is not None and row.at < before]
        oldest = sorted(due, key=lambda one: one[0])[: max(limit, 0)]
        return [FoundDocument(key=key, document=row.document) for _, key, row in oldest]

    async def close(self) -> None:
        await asyncio.sleep(0)

    def rows(self, key: DocumentKey) -> Rows:
        """Return a copy of the documents that have not expired."""
        now = self.clock.now()
        return {name: row for name, row in self.partitions.get(key, {}).items() if row.live(now)}

    def live(self, key: DocumentKey, identifier: str) -> Row | None:
        row = self.partitions.get(key, {}).get(identifier)
        return row if row and row.live(self.clock.now()) else None

    def applied(self, row: Row | None, operation: Operation, data: bytes) -> Row | None:
        """Return the document after an operation; None where it is deleted."""
        if is_rejected(operation, row):
            raise Conflict(f"{operation.id!r} is not as expected", identifier=operation.id)
        match operation:
            case Create() | Replace():
                return self.row(operation.id, data, operation.expires_at, operation.body)
            case Delete():
                return None
            case Add():
                assert row is not None, operation
                sums = incremented(body_from(row.id, row.data), operation)
                return self.row(row.id, encoded(row.id, sums), row.expires_at, sums)

    def put(self, key: DocumentKey, identifier: str, row: Row | None) -> None:
        """Write or delete a document, and keep the indexes."""
        rows, ids = self.partitions.setdefault(key, {}), self.ids[key]
        was, at = rows.pop(identifier, None), bisect_left(ids, identifier)
        if was:
            self.by_status[key.container, was.kind_and_status].pop((key, identifier), None)
        if row:
            rows[identifier] = row
            self.by_status[key.container, row.kind_and_status][key, identifier] = None
        if row and not was:
            ids.insert(at, identifier)
        elif was and not row:
            del ids[at]

    def row(self, identifier: str, data: bytes, expires_at: float | None, body: Body) -> Row:
        return Row(
            id=identifier,
            data=data,
            etag=str(next(self.etags)),
            expires_at=expires_at,
            kind_and_status=named(body.get("kind"), body.get("status")),
            at=dated(body.get("at")),
        )


def is_rejected(operation: Operation, row: Row | None) -> bool:
    match operation:
        case Create():
            return row is not None
        case Replace():
            return row is None or row.etag != operation.etag
        case Delete():
            return row is not None and operation.etag not in (None, row.etag)
        case Add():
            return row is None


def named(kind: object, status: object) -> str:
    """Return what `find` knows a document by; nothing where its kind or status is no text."""
    return f"{kind!r} {status!r}" if isinstance(kind, str) and isinstance(status, str) else ""


def dated(at: object) -> float | None:
    return at if isinstance(at, int | float) and not isinstance(at, bool) else None


class CrashError(BaseException):
    """The process died here: `except Exception` does not catch it."""


class Fault(StrEnum):
    UNAVAILABLE = "unavailable"
    LOST_BEFORE = "unknown outcome, not done"
    LOST_AFTER = "unknown outcome, done"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"


BEFORE = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.CRASH_BEFORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the store: its number from 0, its name and documents, and its fault."""

    number: int
    name: str
    about: str
    fault: Fault | None = None


@dataclass(slots=True, kw_only=True)
class Faults:
    """Which calls fail: chosen calls (`at`, by number), and every call with the probability `rate`.

    Before and after it acts, every call lets other tasks run up to `pause` times.
    """

    at: Mapping[int, Fault] = field(default_factory=dict[int, Fault])
    rate: float = 0.0
    pause: int = 0
    kinds: Sequence[Fault] = tuple(Fault)


class FlakyStore:
    """A store as one process sees it: calls fail as planned or at random, and all of them after a crash.

    The same seed, plan and calls fail in the same way; `calls` records them. A restarted process is another FlakyStore
    over the same store. A lost reply of a read is Unavailable.
    """

    def __init__(self, store: DocumentStore, random: Random, faults: Faults | None = None) -> None:
        self.store = store
        self.random = random
        self.faults = faults or Faults()
        self.calls: list[Call] = []
        self.crashed = False

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        return await self.reading("read", identifier, lambda: self.store.read(key, identifier))

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        return await self.reading("list", prefix, lambda: self.store.list(key, prefix=prefix, after=after, limit=limit))

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        about = ", ".join(f"{type(operation).__name__} {operation.id}" for operation in operations)
        return await self.guarded("commit", about, lambda: self.store.commit(key, operations), self.drawn())

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        return await self.reading(
            "find",
            f"{kind} {status}",
            lambda: self.store.find(container, kind=kind, status=status, before=before, limit=limit),
        )

    async def close(self) -> None:
        await self.store.close()

    def drawn(self) -> Fault | None:
        """Choose the fault of the next call, with the same number of random draws each time."""
        chance, kind = self.random.random(), self.random.choice(self.faults.kinds)
        return self.faults.at.get(len(self.calls), kind if chance < self.faults.rate else None)

    async def reading[T](self, name: str, about: str, action: Callable[[], Awaitable[T]]) -> T:
        fault = self.drawn()
        lost = fault in (Fault.LOST_BEFORE, Fault.LOST_AFTER)
        return await self.guarded(name, about, action, Fault.UNAVAILABLE if lost else fault)

    async def guarded[T](self, name: str, about: str, action: Callable[[], Awaitable[T]], fault: Fault | None) -> T:
        if self.crashed:
            raise CrashError(f"{name} {about} after the crash")
        call = Call(number=len(self.calls), name=name, about=about, fault=fault)
        self.calls.append(call)
        await self.pause(call)
        if fault in BEFORE:
            raise self.error(call)
        result = await action()
        await self.pause(call)
        if fault:
            raise self.error(call)
        return result

    async def pause(self, call: Call) -> None:
        """Let other tasks run a random number of times; the process may crash meanwhile."""
        for _ in range(self.random.randint(0, self.faults.pause) if self.faults.pause else 0):
            await asyncio.sleep(0)
        if self.crashed:
            raise CrashError(f"{call.name} {call.about} was in progress when the process died")

    def error(self, call: Call) -> BaseException:
        message = f"call {call.number}, {call.name} {call.about}: {call.fault}"
        match call.fault:
            case Fault.UNAVAILABLE:
                return Unavailable(message)
            case Fault.LOST_BEFORE | Fault.LOST_AFTER:
                return UnknownOutcome(message)
            case _:
                self.crashed = True
                return CrashError(message)
