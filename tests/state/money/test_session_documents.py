"""Is a session that many processes change in parts of their own the one that a single process would have?"""

import asyncio
from collections.abc import Callable
from copy import replace
from decimal import Decimal
from random import Random

import pytest

from benches.scale.metered_store import MeteredStore
from clients.storage.port import Container, Create, DocumentKey, Replace
from domain.errors import Conflict
from domain.fleet.catalog import ColdStart, Fleet, Model
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptCharge
from domain.money.budgets import Budgets
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptRecord, nanos
from domain.money.sessions.gpu_sessions import GpuSession, session_cost
from state.fleet.state_documents import backend_key
from state.money.gpu_session_billing import GpuSessionBilling
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from state.money.session_documents import MAX_PARTS, SessionDraft, StoredSession, read_session
from tests.domain.fleets import GPU as PRICE
from tests.fakes.clocks import START, LoopClock, in_no_time
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import backend

GPU = replace(
    backend("gpu"),
    price=PRICE,
    cold_start=ColdStart(scales_to_zero=True, p50_s=10, p99_s=30, idle_s=PRICE.idle_s),
)
OWNER = Owner(tenant="anne", subject="user:1")
KEY = backend_key(GPU)
STORE_S = 0.02
PROCESSES, ATTEMPTS = 8, 6


def session_named(identifier: str = "s") -> GpuSession:
    return GpuSession(id=identifier, backend="gpu", price="gpu", started=START, last_end=START, cold_s=10)


class SessionStory:
    """One session as one process changes it, and as several processes in turn change it in a store."""

    def __init__(self) -> None:
        self.store = MemoryStore(LoopClock())
        self.one = session_named()

    async def change(self, process: str, change: Callable[[GpuSession], GpuSession]) -> None:
        draft = SessionDraft(await read_session(self.store, KEY), process)
        if draft.session is None:
            draft.begin(session_named())
        draft.change(change(draft.session or session_named()))
        if operations := draft.operations():
            await self.store.commit(KEY, operations)
        self.one = change(self.one)


def next_change(session: GpuSession, random: Random, number: int) -> Callable[[GpuSession], GpuSession]:
    """Return a change by which a random member enters, ends or gives up, or the machine is seen to be ready."""
    name, at = f"r{number}", START + number
    if not session.running or random.random() < 0.5:
        return lambda one: one.with_member(name, "anne", again=False)
    ending = random.choice(sorted(session.running))
    match random.randrange(4):
        case 0 if session.members > 1:
            return lambda one: replace(one.without_member(ending), members=one.members - 1)
        case 1:
            return lambda one: one.with_ready_at(at)
        case _:
            return lambda one: one.with_ended_member(ending, at)


@pytest.mark.parametrize("seed", range(20))
def test_parts_together_are_the_session_of_one_process(seed: int) -> None:
    in_no_time(tell_story(Random(seed)))  # noqa: S311 - a test must repeat


async def tell_story(random: Random) -> None:
    story = SessionStory()
    for number in range(45):
        await story.change(random.choice("abcde"), next_change(story.one, random, number))
        found = (await read_session(story.store, KEY)).session
        assert found is not None
        assert replace(found, recent_ends=()) == replace(story.one, recent_ends=())
        assert sorted(found.recent_ends) == sorted(story.one.recent_ends)


async def stored_with_two_parts(store: MemoryStore) -> StoredSession:
    for process, record in (("a", "r1"), ("b", "r2")):
        draft = SessionDraft(await read_session(store, KEY), process)
        if draft.session is None:
            draft.begin(session_named())
        draft.change((draft.session or session_named()).with_member(record, "anne", again=False))
        await store.commit(KEY, draft.operations())
    return await read_session(store, KEY)


@pytest.mark.parametrize("process", ["a", "b", "newcomer"])
def test_nobody_enters_a_session_that_was_closed_meanwhile(process: str) -> None:
    in_no_time(enter_late(process))


async def enter_late(process: str) -> None:
    store = MemoryStore(LoopClock())
    stale = await stored_with_two_parts(store)
    closing = SessionDraft(stale, "c")
    closing.close()
    await store.commit(KEY, closing.operations())
    late = SessionDraft(stale, process)
    assert late.session
    late.change(late.session.with_member("late", "anne", again=False))
    with pytest.raises(Conflict):
        await store.commit(KEY, late.operations())
    assert await read_session(store, KEY) == StoredSession()


@pytest.mark.parametrize("process", ["a", "b", "newcomer"])
def test_nobody_closes_a_session_that_somebody_has_entered_meanwhile(process: str) -> None:
    in_no_time(close_late(process))


async def close_late(process: str) -> None:
    store = MemoryStore(LoopClock())
    stale = await stored_with_two_parts(store)
    entering = SessionDraft(stale, process)
    assert entering.session
    entering.change(entering.session.with_member("early", "anne", again=False))
    await store.commit(KEY, entering.operations())
    closing = SessionDraft(stale, "c")
    closing.close()
    with pytest.raises(Conflict):
        await store.commit(KEY, closing.operations())


def test_processes_with_parts_do_not_conflict() -> None:
    in_no_time(change_at_once())


async def change_at_once() -> None:
    store = MemoryStore(LoopClock())
    known = await stored_with_two_parts(store)
    for process in ("a", "b"):
        draft = SessionDraft(known, process)
        assert draft.session
        draft.change(draft.session.with_member(f"more-{process}", "anne", again=False))
        await store.commit(KEY, draft.operations())
    found = (await read_session(store, KEY)).session
    assert found is not None
    assert set(found.running) == {"r1", "r2", "more-a", "more-b"}


def test_more_processes_than_parts_share_them() -> None:
    in_no_time(enter_from_many())


async def enter_from_many() -> None:
    store = MemoryStore(LoopClock())
    await stored_with_two_parts(store)
    for number in range(2 * MAX_PARTS):
        draft = SessionDraft(await read_session(store, KEY), f"p{number}")
        assert draft.session
        draft.change(draft.session.with_member(f"q{number}", "anne", again=False))
        await store.commit(KEY, draft.operations())
    found = await read_session(store, KEY)
    assert len(found.parts) == MAX_PARTS
    assert found.session
    assert found.session.members == 2 + 2 * MAX_PARTS


def test_what_a_session_has_left_behind_is_no_part_of_the_next_one() -> None:
    in_no_time(begin_beside_a_stale_part())


async def begin_beside_a_stale_part() -> None:
    store = MemoryStore(LoopClock())
    known = await stored_with_two_parts(store)
    body = {**known.parts["session~b"].to_document(), "session": "another"}
    await store.commit(KEY, (Create(id="session~gone", body=body),))
    found = await read_session(store, KEY)
    assert found.parts.keys() == {"session~b"}
    draft = SessionDraft(found, "gone")
    assert draft.session
    draft.change(draft.session.with_member("r3", "anne", again=False))
    await store.commit(KEY, draft.operations())
    assert (await read_session(store, KEY)).parts["session~gone"].running == {"r3": "anne"}


def test_a_damaged_part_stops_no_other_session() -> None:
    in_no_time(bill_beside_a_damaged_part())


async def bill_beside_a_damaged_part() -> None:
    clock = LoopClock()
    store = MemoryStore(clock)
    await stored_with_two_parts(store)
    other = session_named("other").with_member("r", "anne", again=False).with_ended_member("r", START)
    draft = SessionDraft(StoredSession(), "a")
    draft.begin(replace(other, backend="other"))
    await store.commit(DocumentKey(container=Container.FLEET, parts=("other",)), draft.operations())
    part = (await store.list(KEY, prefix="session~"))[0]
    await store.commit(KEY, (Replace(id=part.id, body={"kind": "session_part"}, etag=part.etag),))
    await clock.sleep(PRICE.idle_s + 60)
    found = await billing(store, Ledger(store, clock, Budgets())).finished_sessions()
    assert [each.key.parts for each in found] == [("other",)]


def test_attempts_of_many_processes_pay_for_the_session_together() -> None:
    in_no_time(bill_many_processes())


async def bill_many_processes() -> None:
    clock = LoopClock()
    store = MemoryStore(clock)
    views = [MeteredStore(store, clock, STORE_S) for _ in range(PROCESSES)]
    ledgers = [Ledger(view, clock, Budgets()) for view in views]
    processes = [
        GpuSessions(store=view, ledger=ledger, clock=clock) for view, ledger in zip(views, ledgers, strict=True)
    ]
    each = [attempts(sessions, ledger, n) for n, (sessions, ledger) in enumerate(zip(processes, ledgers, strict=True))]
    await asyncio.gather(*each)
    session = (await processes[0].current(GPU)).session
    assert session is not None
    assert (session.members, dict(session.running)) == (PROCESSES * ATTEMPTS, {})
    await clock.sleep(PRICE.idle_s + 1)
    await close(store, ledgers[0])
    assert (await processes[0].current(GPU)).session is None
    records = [
        found
        for n in range(PROCESSES)
        for number in range(ATTEMPTS)
        for found in await ledgers[0].records(OWNER, f"resp_{n}_{number}")
    ]
    paid = sum(nanos(record.charge.cost or Decimal(0)) for record in records)
    assert paid == session_cost(session, PRICE)


def billing(store: MemoryStore, ledger: Ledger) -> GpuSessionBilling:
    fleet = Fleet(
        models={"model": Model(name="model", context_tokens=4096, tier=1)},
        backends={"gpu": GPU},
    )
    return GpuSessionBilling(store=store, ledger=ledger, fleet=fleet, prices={PRICE.name: PRICE}, clock=ledger.clock)


async def close(store: MemoryStore, ledger: Ledger) -> None:
    bills = billing(store, ledger)
    for found in await bills.finished_sessions():
        await bills.close(found)
    for found in await bills.unposted_sessions():
        await bills.post(found)


async def attempts(sessions: GpuSessions, ledger: Ledger, process: int) -> None:
    """Run the attempts of one process, all at once, each a bit later than the one before."""

    async def attempt(number: int) -> None:
        await ledger.clock.sleep(0.013 * number)
        record = AttemptRecord(
            response=f"resp_{process}_{number}",
            subject=OWNER.subject,
            number=1,
            backend="gpu",
            price=PRICE.name,
            charge=AttemptCharge(reserved=Decimal(1)),
            started_at=ledger.clock.now(),
            model="model",
        )
        entry = await sessions.enter(GPU, OWNER, record, limit_s=60)
        assert entry
        opened = await ledger.open_attempt(OWNER, record)
        await ledger.clock.sleep(1 + 0.1 * number)
        shares = await sessions.leave(GPU, entry, ended=ledger.clock.now())
        charge = replace(opened.charge.closed(Decimal(0), line=BillLine.GPU), shares=shares)
        await ledger.close_attempt(OWNER, replace(opened, charge=charge))

    await asyncio.gather(*(attempt(number) for number in range(ATTEMPTS)))
