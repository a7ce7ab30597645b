"""Of which documents does the learned state of the backends consist?

All are in one partition, so that one call reads the states of all backends. Each backend has one document of what was
learned about it. Its load is counted in one document for each process, which no other process changes.
"""

from collections.abc import Mapping, Sequence
from copy import replace

from msgspec import Struct, field

from clients.storage.damage import read_or_none
from clients.storage.port import Container, Create, Document, DocumentKey, Operation, Replace
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
PART = "~"
"""Separates the backend and the process in the id of a part. No name of a backend contains it."""


def backend_key(backend: Backend) -> DocumentKey:
    return DocumentKey(container=Container.FLEET, parts=(backend.name,))


def state_id(backend: str) -> str:
    return f"{PREFIX}{backend}"


def part_id(backend: str, process: str) -> str:
    return f"{state_id(backend)}{PART}{process}"


class StoredState(Struct, frozen=True, kw_only=True):
    """The documents of one backend. `first` is its state before it has one here."""

    first: BackendState
    learned: Document | None = None
    parts: Mapping[str, Document] = field(default_factory=dict[str, Document])

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
        return read_or_none(self.learned, lambda found: found.read_as(BackendState.from_document)) or self.first

    @property
    def load_parts(self) -> Mapping[str, LoadPart]:
        parts = {name: read_or_none(each, load_part_of) for name, each in self.parts.items()}
        return {name: part for name, part in parts.items() if part}

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


def load_part_of(document: Document) -> LoadPart:
    return document.read_as(LoadPart.from_document)


def stored_states(documents: Sequence[Document], backends: Mapping[str, Backend]) -> Mapping[str, StoredState]:
    """Return the stored state of each backend; one without documents has its initial state."""
    by_id = {each.id: each for each in documents}
    parts: dict[str, dict[str, Document]] = {name: {} for name in backends}
    for each in documents:
        name, separator, _ = each.id.removeprefix(PREFIX).partition(PART)
        if separator and name in parts:
            parts[name][each.id] = each
    return {
        name: StoredState(first=initial_state(each), learned=by_id.get(state_id(name)), parts=parts[name])
        for name, each in backends.items()
    }
