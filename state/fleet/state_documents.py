"""Of which documents does the learned state of the backends consist?

All are in one partition, so that one call reads the states of all backends. Each backend has one document of what was
learned about it. Its load is counted in one document for each process, which no other process changes.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import replace

from msgspec import Struct, field

from clients.storage.damage import read_or_none
from clients.storage.port import Body, Container, Create, Document, DocumentKey, Operation, Replace
from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend
from domain.fleet.load import Load, LoadPart, merged

FLEET: DocumentKey = DocumentKey(container=Container.FLEET, parts=("_fleet",))
"""No backend has this name: backends' names have no underscore."""

STATE_ID = "belief"
"""The id of a backend's document in the partition of that backend, where earlier releases kept it; and its kind."""

NOW = "now_"
"""Begins the id of what every decision reads: the states of all backends, and what was spent elsewhere."""

PREFIX = f"{NOW}belief_"
MOST_KEPT = 1000
"""Of so many documents the latest version is kept as it was read; each process has a document of its own."""

PART = "~"
"""Separates the backend and the process in the id of a part. No name of a backend contains it."""


def backend_key(backend: Backend) -> DocumentKey:
    return DocumentKey(container=Container.FLEET, parts=(backend.name,))


def state_id(backend: str) -> str:
    return f"{PREFIX}{backend}"


def part_id(backend: str, process: str) -> str:
    return f"{state_id(backend)}{PART}{process}"


class StoredState(Struct, frozen=True, kw_only=True):
    """The documents of one backend and what they say. `first` is its state before it has one here."""

    first: BackendState
    learned: Document | None = None
    known: BackendState | None = None
    parts: Mapping[str, Document] = field(default_factory=dict[str, Document])
    load_parts: Mapping[str, LoadPart] = field(default_factory=dict[str, LoadPart])

    @property
    def etag(self) -> str:
        return self.learned.etag if self.learned else ""

    @property
    def state(self) -> BackendState:
        """The state with the load of all processes."""
        known = self.base
        parts = [LoadPart(load=known.load), *self.load_parts.values()]
        return replace(known, load=merged(parts)) if len(parts) > 1 else known

    @property
    def base(self) -> BackendState:
        """What the one document says, or where there is none, the first state."""
        return self.known or self.first

    def write_learned(self, state: BackendState) -> Operation:
        """Return what writes all but the load."""
        identifier = state_id(state.backend)
        body = {"kind": STATE_ID, **replace(state, load=self.base.load).to_document()}
        if self.learned:
            return Replace(id=identifier, body=body, etag=self.learned.etag)
        return Create(id=identifier, body=body)

    def write_load(self, load: Load, *, process: str, now: float) -> Operation:
        """Return what writes the part of a process so that the load of all processes becomes `load`."""
        identifier, parts = part_id(self.first.backend, process), self.load_parts
        mine = parts.get(identifier, LoadPart())
        others = [LoadPart(load=self.base.load), *(part for name, part in parts.items() if name != identifier)]
        after = mine.after(load, others=merged(replace(each, left={}) for each in others), now=now)
        body, expires_at = {"kind": "load", **after.to_document()}, after.kept_until(now)
        found = self.parts.get(identifier)
        if found:
            return Replace(id=identifier, body=body, etag=found.etag, expires_at=expires_at)
        return Create(id=identifier, body=body, expires_at=expires_at)


class ReadOnce[T]:
    """Reads documents with `read`, each version of them once. The latest version of each is kept."""

    def __init__(self, read: Callable[[Body], T]) -> None:
        self.read = read
        self.latest: dict[str, tuple[str, T]] = {}

    def __call__(self, document: Document | None) -> T | None:
        """Return what can be read of a document; None where there is none, or where it is damaged."""
        if document is None:
            return None
        known = self.latest.get(document.id)
        if known and known[0] == document.etag:
            return known[1]
        found = read_or_none(document, lambda each: each.read_as(self.read))
        if found is not None:
            self.latest = self.latest if len(self.latest) < MOST_KEPT else {}
            self.latest[document.id] = document.etag, found
        return found


class StateReader:
    """Reads the states of backends from their documents."""

    def __init__(self) -> None:
        self.learned = ReadOnce(BackendState.from_document)
        self.part = ReadOnce(LoadPart.from_document)

    def stored(self, documents: Sequence[Document], backends: Mapping[str, Backend]) -> Mapping[str, StoredState]:
        """Return the stored state of each backend; one without documents has its initial state."""
        by_id = {each.id: each for each in documents}
        parts: dict[str, dict[str, Document]] = {name: {} for name in backends}
        for each in documents:
            name, separator, _ = each.id.removeprefix(PREFIX).partition(PART)
            if separator and name in parts:
                parts[name][each.id] = each
        return {name: self.state(each, by_id.get(state_id(name)), parts[name]) for name, each in backends.items()}

    def state(self, backend: Backend, learned: Document | None, parts: Mapping[str, Document]) -> StoredState:
        read = {name: self.part(each) for name, each in parts.items()}
        return StoredState(
            first=initial_state(backend),
            learned=learned,
            known=self.learned(learned),
            parts=parts,
            load_parts={name: part for name, part in read.items() if part},
        )

    def earlier(self, backend: Backend, document: Document | None) -> BackendState:
        """Return the state in a document of an earlier release; the initial state where there is none."""
        return read_or_none(document, lambda found: found.read_as(BackendState.from_document)) or initial_state(backend)
