"""How do many requests change the current GPU session of a backend at once?

Within one process the changes that wait are decided one after the other, and written in one commit with the spans of
their members. Processes write parts of their own (`session_documents`), so that they rarely conflict.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from msgspec import Struct, field

from clients.clock import Clock, process_name
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.group_commit import GroupCommit
from clients.storage.port import Create, Delete, Document, DocumentStore, Operation, Replace
from domain.errors import DamagedRecord
from domain.fleet.catalog import Backend
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.transitions import SessionTransition
from state.fleet.state_documents import backend_key
from state.money.session_documents import SessionDraft, read_session, span_id, span_of

MOST_AT_ONCE: Final = 30
"""One commit has the spans of so many members, beside the session and its parts."""


class NewSessions(Struct, frozen=True, kw_only=True):
    """When is the current session over, and how long is a start expected to take if a new one begins? Seconds.

    With `is_held` the product ends the new session, `idle_s` after its last request.
    """

    idle_s: float
    cold_s: float
    is_held: bool = False


class SessionChange(Struct, frozen=True, kw_only=True):
    """A change by one member, or by none where `record` is "".

    With `new`, a request of now takes part: in a new session where the current one is over. Otherwise the member has
    entered the session with the id `session`; "" is the current one. `decide` gets no session where that is gone.
    """

    decide: Callable[[GpuSession | None, SessionSpan | None, float], SessionTransition[Any]]
    record: str = ""
    session: str = ""
    new: NewSessions | None = None


class DraftedSpan(Struct):
    """A member's span while it is changed, and its stored document."""

    found: Document | None = None
    span: SessionSpan | None = None
    changed: bool = False

    def operations(self, identifier: str) -> Sequence[Operation]:
        if not self.changed:
            return ()
        if self.span is None:
            return (Delete(id=identifier, etag=self.found.etag),) if self.found else ()
        body = self.span.to_document()
        if self.found:
            return (Replace(id=identifier, body=body, etag=self.found.etag),)
        return (Create(id=identifier, body=body),)


class Draft(Struct):
    """The session of a backend and the spans of members, while their changes are decided."""

    session: SessionDraft
    spans: dict[str, DraftedSpan] = field(default_factory=dict[str, DraftedSpan])

    def apply(self, change: SessionChange, identifier: str, now: float) -> Any:
        """Decide a change and take it over; returns its result."""
        session = self.session.session
        if change.session and session and session.id != change.session:
            session = None
        drafted = self.spans.setdefault(identifier, DraftedSpan())
        drafted.span = drafted.span if drafted.changed else span_of(drafted.found)
        transition = change.decide(session, drafted.span, now)
        if transition.session:
            self.session.change(transition.session)
        if transition.span or transition.removes_span:
            drafted.span, drafted.changed = transition.span, True
        return transition.result

    def operations(self) -> Sequence[Operation]:
        spans = [operation for name, each in self.spans.items() for operation in each.operations(name)]
        return (*self.session.operations(), *spans)


class SessionChanges:
    """Commits changes of the current sessions of all backends."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.process = process_name()
        self.commits: dict[str, GroupCommit[SessionChange, Any]] = {}

    async def commit(self, backend: Backend, change: SessionChange) -> Any:
        """Return the result of a change after it is written."""
        if backend.name not in self.commits:
            self.commits[backend.name] = GroupCommit(partial(self.write, backend), most=MOST_AT_ONCE)
        return await self.commits[backend.name].submit(change)

    async def write(self, backend: Backend, changes: Sequence[SessionChange]) -> Sequence[Any]:
        return await compare_and_swap(self.clock, lambda: self.step(backend, changes))

    async def step(self, backend: Backend, changes: Sequence[SessionChange]) -> Sequence[Any]:
        key = backend_key(backend)
        draft = Draft(SessionDraft(await read_session(self.store, key), self.process))
        current = draft.session.base.id if draft.session.base else ""
        names = {span_id(change.session or current, change.record) for change in changes if change.record}
        found = await asyncio.gather(*(self.store.read(key, name) for name in names))
        draft.spans = {name: DraftedSpan(each) for name, each in zip(names, found, strict=True)}
        results = [self.result(backend, draft, change) for change in changes]
        if operations := draft.operations():
            await self.store.commit(key, operations)
        return results

    def result(self, backend: Backend, draft: Draft, change: SessionChange) -> Any:
        """Return the result of a change, or the error by which it alone fails."""
        now, session = self.clock.now(), draft.session.session
        if change.new and (session is None or session.is_over(change.new.idle_s, now, is_held=change.new.is_held)):
            draft.session.begin(self.new_session(backend, now, change.new))
        base = draft.session.base
        try:
            return draft.apply(change, span_id(change.session or (base.id if base else ""), change.record), now)
        except DamagedRecord as damage:
            return damage

    def new_session(self, backend: Backend, now: float, new: NewSessions) -> GpuSession:
        name = f"{round(now * 1000):015d}{self.clock.token()[-8:]}"
        return GpuSession(
            id=name,
            backend=backend.name,
            price=backend.price.name,
            started=now,
            last_end=now,
            cold_s=new.cold_s,
            idle_s=new.idle_s if new.is_held else None,
        )
