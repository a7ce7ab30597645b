"""Of which documents does a GPU session consist, and which writes change them?

The session is one document, which is also the part of the process that began it, its holder. Every other process that
takes part has a part of its own beside it, so that processes do not conflict. Whoever adds or removes a part also
writes the session; whoever closes the session removes all parts that it has read. So no part is left behind.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from typing import Final
from zlib import crc32

from msgspec import Struct, field

from clients.storage.paging import list_all
from clients.storage.port import Body, Create, Delete, Document, DocumentKey, DocumentStore, Operation, Replace
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.parts import SessionPart, whole_session

SESSION_ID = "session"
OPEN, CLOSING = "open", "closing"
PART_PREFIX = f"{SESSION_ID}~"
HOLDER = "holder"

MAX_PARTS: Final = 32
"""So many processes have parts of their own. Further ones use these too, and may conflict."""


class StoredSession(Struct, frozen=True, kw_only=True):
    """The documents of the current session of a backend, if there is one; `parts` by the id of their document.

    `etags` are those of all documents, also of parts that an earlier session has left behind. `unmarked` are parts of
    an earlier release, which the query for the parts of all backends does not find: the next write marks them.
    """

    base: GpuSession | None = None
    holder: str = ""
    parts: Mapping[str, SessionPart] = field(default_factory=dict[str, SessionPart])
    etags: Mapping[str, str] = field(default_factory=dict[str, str])
    unmarked: frozenset[str] = frozenset()

    @property
    def session(self) -> GpuSession | None:
        """The whole session."""
        return whole_session(self.base, self.parts.values()) if self.base else None

    def with_id(self, session_id: str) -> GpuSession | None:
        """Return the session where it is still the one of this id."""
        return self.session if self.base and self.base.id == session_id else None


async def read_session(store: DocumentStore, key: DocumentKey) -> StoredSession:
    """Read the current session of the backend with this partition."""
    found = {each.id: each for each in await list_all(store, key, prefix=SESSION_ID)}
    etags = {name: each.etag for name, each in found.items()}
    base = found.pop(SESSION_ID, None)
    if base is None:
        return StoredSession(etags=etags)
    session, holder = base.read_as(GpuSession.from_document), str(base.body.get(HOLDER, ""))
    parts = {name: each.read_as(SessionPart.from_document) for name, each in found.items() if is_of(each, session)}
    unmarked = frozenset(name for name in parts if "status" not in found[name].body)
    return StoredSession(base=session, holder=holder, parts=parts, etags=etags, unmarked=unmarked)


def is_of(part: Document, session: GpuSession) -> bool:
    return part.body["session"] == session.id


class SessionDraft:
    """The current session of a backend while one process changes it. Nothing is written before `operations`."""

    def __init__(self, stored: StoredSession, process: str) -> None:
        self.stored = stored
        self.process = process
        self.base = stored.base
        self.holder = stored.holder
        self.parts = dict(stored.parts)
        self.changed: set[str] = set(stored.unmarked)
        self.closing: list[Create] = []

    @property
    def session(self) -> GpuSession | None:
        return StoredSession(base=self.base, parts=self.parts).session

    def begin(self, session: GpuSession) -> None:
        """Replace the current session, which is over, by a new one."""
        self.close()
        self.base, self.holder = session, self.process
        self.changed.add(SESSION_ID)

    def close(self) -> None:
        """End the session. Its copy under another id is changed by nobody; what its members pay is posted later."""
        session = self.session
        if session and session.members:
            self.closing.append(Create(id=closed_id(session.id), body=session.to_document(CLOSING)))
        self.base, self.parts = None, {}

    def change(self, after: GpuSession) -> None:
        """Take over one change of the whole session; one without members is removed, for it never took place."""
        before = self.session
        if before is None or self.base is None:
            return
        if not after.members:
            self.base, self.parts = None, {}
            return
        gone = frozenset(before.running.keys() - after.running.keys())
        for name, each in self.all_parts().items():
            if gone & each.running.keys():
                self.put(name, each.without(gone))
        mine = self.own_part()
        part = self.all_parts().get(mine, SessionPart())
        if (changed := part.after(before, after)) != part:
            self.put(mine, changed)
        if fixed_fields(after) != fixed_fields(before):
            self.base = replace(
                self.base,
                warm_up_record=after.warm_up_record,
                started=after.started,
                stopped_at=after.stopped_at,
            )
            self.changed.add(SESSION_ID)

    def all_parts(self) -> Mapping[str, SessionPart]:
        own = {SESSION_ID: SessionPart.of(self.base)} if self.base else {}
        return own | self.parts

    def own_part(self) -> str:
        """Return the id of the document that this process changes."""
        if self.holder == self.process:
            return SESSION_ID
        own = f"{PART_PREFIX}{self.process}"
        if own in self.parts or len(self.parts) < MAX_PARTS:
            return own
        return sorted(self.parts)[crc32(self.process.encode()) % len(self.parts)]

    def put(self, name: str, part: SessionPart) -> None:
        self.changed.add(name)
        if name == SESSION_ID and self.base:
            self.base = part.within(self.base)
            return
        if name not in self.parts:
            self.changed.add(SESSION_ID)
        self.parts[name] = part

    def operations(self) -> Sequence[Operation]:
        """Return what writes all changes in one commit."""
        etags, kept = self.stored.etags, self.parts.keys() | {SESSION_ID}
        removed = [Delete(id=name, etag=etag) for name, etag in etags.items() if name not in kept]
        session, whole = self.base, self.session
        if session is None or whole is None or not whole.members:
            return (*self.deleted_session(), *removed, *self.closing)
        found_by = {"status": OPEN, "at": session.started, "session": session.id}
        bodies = {name: {**part.to_document(), **found_by} for name, part in self.parts.items()}
        bodies[SESSION_ID] = {**session.to_document(OPEN), HOLDER: self.holder}
        writes = [write_operation(name, body, etags.get(name)) for name, body in bodies.items() if name in self.changed]
        return (*writes, *(removed if SESSION_ID in self.changed else ()), *self.closing)

    def deleted_session(self) -> Sequence[Operation]:
        etag = self.stored.etags.get(SESSION_ID)
        return (Delete(id=SESSION_ID, etag=etag),) if etag else ()


def fixed_fields(session: GpuSession) -> tuple[str, float, float | None]:
    """Return the fields that no part has."""
    return session.warm_up_record, session.started, session.stopped_at


def write_operation(name: str, body: Body, etag: str | None) -> Create | Replace:
    return Replace(id=name, body=body, etag=etag) if etag else Create(id=name, body=body)


def span_of(found: Document | None) -> SessionSpan | None:
    return found.read_as(SessionSpan.from_document) if found else None


def share_name(backend: str, session: str) -> str:
    """Return the name under which records keep their share of a session."""
    return f"{backend}/{session}"


def span_prefix(session: str) -> str:
    return f"span_{session}_"


def span_id(session: str, record: str) -> str:
    return f"{span_prefix(session)}{record}"


def closed_id(session: str) -> str:
    return f"closed_{session}"
