"""Are the changes of one GPU session decided one after the other, and written in one commit?"""

import asyncio
from collections.abc import Callable, Sequence
from copy import replace
from typing import override

import pytest

from clients.storage.port import Create, Delete, Document, DocumentKey, Operation, Replace
from domain.errors import DamagedRecord
from domain.fleet.catalog import ColdStart
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.transitions import SessionTransition
from state.fleet.state_documents import backend_key
from state.money.session_changes import Draft, DraftedSpan, NewSessions, SessionChange, SessionChanges
from state.money.session_documents import SessionDraft, StoredSession, read_session, span_id
from tests.domain.fleets import GPU as PRICE
from tests.fakes.clocks import START, FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import backend

GPU = replace(
    backend("gpu"),
    price=PRICE,
    cold_start=ColdStart(scales_to_zero=True, p50_s=10, p99_s=30, idle_s=PRICE.idle_s),
)
KEY = backend_key(GPU)
SPAN = SessionSpan(record="r1", tenant="anne", subject="user:1", response="resp_1", began=START)
NEW = NewSessions(idle_s=60, cold_s=10)
FOUND = Document(id="x", body=SPAN.to_document(), etag="e1")

type Decide = Callable[[GpuSession | None, SessionSpan | None, float], SessionTransition[str]]


def enters(record: str) -> Decide:
    """Return a decision by which a member enters; its result is the session's id."""

    def decide(session: GpuSession | None, span: SessionSpan | None, now: float) -> SessionTransition[str]:
        assert session is not None
        after = session.with_member(record, "anne", again=span is not None)
        return SessionTransition(result=session.id, session=after, span=replace(SPAN, record=record, began=now))

    return decide


def seen(session: GpuSession | None, span: SessionSpan | None, now: float) -> SessionTransition[str]:
    return SessionTransition(result=f"{session.id if session else None} {span.record if span else None}")


class CountedStore(MemoryStore):
    """Keeps the ids of each commit."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.written: list[list[str]] = []

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        self.written.append([each.id for each in operations])
        return await super().commit(key, operations)


@pytest.mark.parametrize(
    ("drafted", "operations"),
    [
        (DraftedSpan(found=FOUND, span=SPAN), ()),
        (DraftedSpan(changed=True), ()),
        (DraftedSpan(found=FOUND, changed=True), (Delete(id="s", etag="e1"),)),
        (DraftedSpan(span=SPAN, changed=True), (Create(id="s", body=SPAN.to_document()),)),
        (DraftedSpan(found=FOUND, span=SPAN, changed=True), (Replace(id="s", body=SPAN.to_document(), etag="e1"),)),
    ],
)
def test_a_span_is_written_as_it_was_found_and_changed(drafted: DraftedSpan, operations: tuple[Operation, ...]) -> None:
    assert drafted.operations("s") == operations


def test_a_change_of_a_session_that_is_gone_finds_none() -> None:
    base = GpuSession(id="new", backend="gpu", price="gpu", started=START, last_end=START, cold_s=10, members=1)
    draft = Draft(SessionDraft(StoredSession(base=base, holder="p"), "p"))
    assert draft.apply(SessionChange(decide=seen, session="old"), "x", START) == "None None"
    assert draft.apply(SessionChange(decide=seen, session="new"), "x", START) == "new None"
    assert draft.apply(SessionChange(decide=seen), "x", START) == "new None"
    assert draft.operations() == ()


def test_a_later_change_sees_the_span_of_an_earlier_one() -> None:
    draft = Draft(SessionDraft(StoredSession(), "p"))
    enter = SessionTransition(result="in", span=SPAN)
    leave = SessionTransition(result="out", removes_span=True)
    assert draft.apply(SessionChange(decide=lambda _session, _span, _now: enter), "x", START) == "in"
    assert draft.apply(SessionChange(decide=seen), "x", START) == "None r1"
    assert draft.operations() == (Create(id="x", body=SPAN.to_document()),)
    assert draft.apply(SessionChange(decide=lambda _session, _span, _now: leave), "x", START) == "out"
    assert draft.operations() == ()


async def test_changes_at_once_are_one_session_and_few_commits() -> None:
    store = CountedStore(FakeClock())
    changes = SessionChanges(store, store.clock)
    names = [f"r{number}" for number in range(9)]
    found = await asyncio.gather(
        *(changes.commit(GPU, SessionChange(decide=enters(name), record=name, new=NEW)) for name in names)
    )
    (identifier,) = set(found)
    stored = await read_session(store, KEY)
    assert stored.session is not None
    assert (stored.session.id, stored.session.members, sorted(stored.session.running)) == (identifier, 9, names)
    assert len(store.written) <= 2
    spans = {each.id for each in await store.list(KEY, prefix=span_id(identifier, ""))}
    assert spans == {span_id(identifier, name) for name in names}


async def test_a_new_session_begins_only_where_the_current_one_is_over() -> None:
    clock = FakeClock()
    changes = SessionChanges(MemoryStore(clock), clock)

    async def enter(record: str) -> str:
        return await changes.commit(GPU, SessionChange(decide=enters(record), record=record, new=NEW))

    def leaves(session: GpuSession | None, span: SessionSpan | None, now: float) -> SessionTransition[str]:
        assert session is not None
        return SessionTransition(result="", session=session.with_ended_member("r1", now), span=span)

    first = await enter("r1")
    await changes.commit(GPU, SessionChange(decide=leaves, record="r1", session=first))
    clock.time += 59
    assert await changes.commit(GPU, SessionChange(decide=seen, new=NEW)) == f"{first} None"
    clock.time += 60
    assert await enter("r2") != first


async def test_what_is_only_looked_at_is_not_written() -> None:
    store = CountedStore(FakeClock())
    changes = SessionChanges(store, store.clock)
    assert await changes.commit(GPU, SessionChange(decide=seen)) == "None None"
    assert store.written == []


async def test_a_damaged_span_fails_its_own_change_alone() -> None:
    store = MemoryStore(FakeClock())
    changes = SessionChanges(store, store.clock)
    identifier = await changes.commit(GPU, SessionChange(decide=enters("r1"), record="r1", new=NEW))
    damaged = Create(id=span_id(identifier, "r2"), body={"odd": 1})
    await store.commit(KEY, [damaged])
    found = await asyncio.gather(
        changes.commit(GPU, SessionChange(decide=seen, record="r2")),
        changes.commit(GPU, SessionChange(decide=seen, record="r1")),
        return_exceptions=True,
    )
    assert isinstance(found[0], DamagedRecord)
    assert found[1] == f"{identifier} r1"
