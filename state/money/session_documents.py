"""Of which documents does a GPU session consist, and which writes change them?"""

from collections.abc import Sequence
from dataclasses import dataclass

from clients.storage.port import Create, Delete, Document, Operation, Replace
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.transitions import SessionTransition

SESSION_ID = "session"
OPEN, CLOSING = "open", "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """The current session of a backend, if there is one, with the etag of its document."""

    session: GpuSession | None = None
    etag: str = ""

    def with_id(self, session_id: str) -> GpuSession | None:
        """Return the session where it is still the one of this id."""
        return self.session if self.session and self.session.id == session_id else None

    def write(self, session: GpuSession) -> Operation:
        if not session.members:
            return Delete(id=SESSION_ID, etag=self.etag)
        body = session.to_document(OPEN)
        return Replace(id=SESSION_ID, body=body, etag=self.etag) if self.etag else Create(id=SESSION_ID, body=body)


def operations_of[T](
    transition: SessionTransition[T], current: StoredSession, span: str, found: Document | None
) -> Sequence[Operation]:
    """Return what writes a transition; `span` is the id of the member's span, `found` its stored document."""
    operations: list[Operation] = []
    if transition.session:
        operations.append(current.write(transition.session))
    if transition.span:
        body = transition.span.to_document()
        operations.append(Replace(id=span, body=body, etag=found.etag) if found else Create(id=span, body=body))
    if transition.removes_span and found:
        operations.append(Delete(id=span, etag=found.etag))
    return operations


def span_of(found: Document | None) -> SessionSpan | None:
    return found.read_as(SessionSpan.from_document) if found else None


def closing_copy(session: GpuSession) -> Create:
    """Return the copy of a session that is over; what its members pay is posted later."""
    return Create(id=closed_id(session.id), body=session.to_document(CLOSING))


def share_name(backend: str, session: str) -> str:
    """Return the name under which records keep their share of a session."""
    return f"{backend}/{session}"


def span_prefix(session: str) -> str:
    return f"span_{session}_"


def span_id(session: str, record: str) -> str:
    return f"{span_prefix(session)}{record}"


def closed_id(session: str) -> str:
    return f"closed_{session}"
