"""What must a store be able to do?

A commit is atomic within one partition. It has at most 100 operations and 2 MB, like a transactional batch of Azure
Cosmos DB. Every call has a full partition key except `find`, which sweeps and the summary of the fleet use.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct, field

from clients.storage.damage import parsed

type Body = Mapping[str, Any]

OPERATIONS_LIMIT = 100
BYTES_LIMIT = 2_000_000

SWEEP_LIMIT = 1000
"""Documents of one kind that a sweep reads: many long turns that are well must not hide one that was left behind."""


class Container(StrEnum):
    TURNS = "turns"
    MONEY = "money"
    FLEET = "fleet"


class DocumentKey(Struct, frozen=True, kw_only=True):
    """A container and the full partition key in it.

    turns: tenant, subject, thread · money: tenant · fleet: backend.
    """

    container: Container
    parts: tuple[str, ...]


class Document(Struct, frozen=True, kw_only=True):
    """A stored document; `etag` changes with every write of it."""

    id: str
    body: Body
    etag: str

    def read_as[T](self, parse: Callable[[Body], T]) -> T:
        """Return what `parse` reads in the body. Raises DamagedRecord where it cannot."""
        return parsed(self.id, parse, self.body)

    def read_with_id[T](self, parse: Callable[[str, Body], T]) -> T:
        """As `read_as`, for a shape whose id is not in the body."""
        return parsed(self.id, parse, self.id, self.body)


class Create(Struct, frozen=True, kw_only=True):
    """Fails with Conflict where the id exists. `expires_at` (seconds since the epoch) is when it may be forgotten.

    `data` is the body as JSON, where its writer knows that already.
    """

    id: str
    body: Body
    expires_at: float | None = None
    data: bytes | None = None


class Replace(Struct, frozen=True, kw_only=True):
    """Fails with Conflict where the document's etag is another, or the document is gone."""

    id: str
    body: Body
    etag: str
    expires_at: float | None = None


class Delete(Struct, frozen=True, kw_only=True):
    """Succeeds where nothing is there; with an etag, fails with Conflict where it is another."""

    id: str
    etag: str | None = None


class Add(Struct, frozen=True, kw_only=True):
    """Add whole numbers to top-level fields of an existing document (an absent field counts as 0).

    Fails with Exhausted where a sum would pass the field's limit in `at_most`, with Conflict where there is no such
    document.
    """

    id: str
    amounts: Mapping[str, int]
    at_most: Mapping[str, int] = field(default_factory=dict[str, int])


type Operation = Create | Replace | Delete | Add


class FoundDocument(Struct, frozen=True, kw_only=True):
    """A document that `find` returned, with its partition key."""

    key: DocumentKey
    document: Document


class DocumentStore(Protocol):
    """Documents under partition keys. Raises Unavailable, and UnknownOutcome for a write whose reply was lost."""

    async def read(self, key: DocumentKey, identifier: str) -> Document | None: ...

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        """Return the documents whose id starts with `prefix` and is greater than `after`, in the order of their ids."""
        ...

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        """Do all of it or nothing; return the etag after each operation, an empty text where that is not known.

        Conflict and Exhausted carry the id of the operation that failed.
        """
        ...

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        """Return documents of all partitions by their fields `kind`, `status` and `at` < `before`, oldest first."""
        ...

    async def close(self) -> None: ...
