"""What does one run of a turn know of the turn's own documents, without reading them again?

Nothing here has to be right: a commit that rests on what is no longer so is rejected, and then all of it is forgotten.
"""

from collections.abc import Sequence

from msgspec import Struct, field

from clients.storage.damage import body_from
from clients.storage.port import Add, Container, Create, Delete, Document, DocumentKey, Operation, Replace
from clients.storage.validation import encoded

UNKNOWN = ""
"""The etag of a document that this run has written, where the store has not told it."""


class TurnMemory(Struct, kw_only=True):
    """`token` is part of the id of every document that is the turn's alone."""

    token: str
    documents: dict[tuple[DocumentKey, str], Document] = field(default_factory=dict[tuple[DocumentKey, str], Document])
    whole: set[tuple[DocumentKey, str]] = field(default_factory=set[tuple[DocumentKey, str]])

    def is_own(self, identifier: str) -> bool:
        return self.token in identifier

    def keep(self, key: DocumentKey, document: Document) -> None:
        if self.is_own(document.id):
            self.documents[key, document.id] = document

    def keep_list(self, key: DocumentKey, prefix: str, documents: Sequence[Document]) -> None:
        """Keep all documents with a prefix. Other processes add to a turn's attempts, so those are read again."""
        for each in documents:
            self.keep(key, each)
        if self.is_own(prefix) and key.container is Container.TURNS:
            self.whole.add((key, prefix))

    def found(self, key: DocumentKey, prefix: str, after: str, limit: int) -> Sequence[Document] | None:
        """Return documents in the order of their ids; None where not all with the prefix are known."""
        if (key, prefix) not in self.whole:
            return None
        names = sorted(name for at, name in self.documents if at == key and name.startswith(prefix) and name > after)
        return [self.documents[key, name] for name in names[:limit]]

    def note(self, key: DocumentKey, operations: Sequence[Operation], etags: Sequence[str]) -> None:
        """Keep what a commit has written."""
        for each, etag in zip(operations, etags, strict=True):
            match each:
                case Create() | Replace() if each.expires_at is None and self.keeps(key, each):
                    self.documents[key, each.id] = written_document(each, etag)
                case Create() | Replace() | Delete() | Add():
                    self.documents.pop((key, each.id), None)

    def keeps(self, key: DocumentKey, write: Create | Replace) -> bool:
        """Tell whether a written document is kept: those of the turn, and the items that it has created."""
        return self.is_own(write.id) or (isinstance(write, Create) and key.container is Container.TURNS)

    def know_all(self, key: DocumentKey, prefix: str) -> None:
        """Note that all documents with a prefix are known: this run has begun them."""
        self.whole.add((key, prefix))

    def forget(self) -> None:
        self.documents.clear()
        self.whole.clear()


def written_document(write: Create | Replace, etag: str) -> Document:
    """Return a document as a reader would find it."""
    return Document(id=write.id, body=body_from(write.id, encoded(write.id, write.body)), etag=etag)
