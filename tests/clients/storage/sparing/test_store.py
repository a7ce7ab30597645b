"""Do runs that spare calls of the store write what they would have written alone, and see what others change?"""

import asyncio
from collections.abc import Sequence
from typing import override

import pytest

from clients.storage.port import Add, Container, Create, Document, DocumentKey, Operation, Replace
from clients.storage.request_units import add_charge, metered
from clients.storage.sparing.store import MOST_RECENT, RECENT_S, SparingStore
from domain.errors import Conflict, Exhausted, GanglionError, Unavailable
from tests.checks import every
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

MONEY = DocumentKey(container=Container.MONEY, parts=("tenant",))
TURNS = DocumentKey(container=Container.TURNS, parts=("tenant", "user", "thread"))
MINE, OTHERS = "resp_mine", "resp_others"


class CountedStore(MemoryStore):
    """Counts the documents that are read, and the operations of each commit; it is away while `is_away`."""

    def __init__(self, clock: FakeClock, *, tells_etags: bool = True) -> None:
        super().__init__(clock)
        self.tells_etags = tells_etags
        self.read_ids: list[str] = []
        self.commits: list[int] = []
        self.is_away = False

    @override
    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        self.read_ids.append(identifier)
        return await super().read(key, identifier)

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        self.commits.append(len(operations))
        add_charge(6.0)
        if self.is_away:
            raise Unavailable("the store is away")
        etags = await super().commit(key, operations)
        return etags if self.tells_etags else [""] * len(etags)


async def replaced(store: SparingStore, count: int) -> None:
    found = await store.read(TURNS, MINE)
    assert found is not None
    assert found.body["count"] == count - 1
    await store.commit(TURNS, [Replace(id=MINE, body={"count": count}, etag=found.etag)])


@pytest.mark.parametrize("tells_etags", [True, False])
async def test_a_run_does_not_read_what_it_has_written(*, tells_etags: bool) -> None:
    clock = FakeClock()
    inner = CountedStore(clock, tells_etags=tells_etags)
    store = SparingStore(inner, clock)
    with store.sparing("mine"):
        await store.commit(TURNS, [Create(id=MINE, body={"count": 0})])
        for count in (1, 2):
            await replaced(store, count)
    assert len(inner.read_ids) == (0 if tells_etags else 2)
    assert inner.rows(TURNS)[MINE].document.body == {"count": 2}


@pytest.mark.parametrize("tells_etags", [True, False])
async def test_a_run_notices_that_another_has_written_its_document(*, tells_etags: bool) -> None:
    clock = FakeClock()
    inner = CountedStore(clock, tells_etags=tells_etags)
    store = SparingStore(inner, clock)
    with store.sparing("mine"):
        await store.commit(TURNS, [Create(id=MINE, body={"count": 0})])
        found = await inner.read(TURNS, MINE)
        assert found is not None
        await inner.commit(TURNS, [Replace(id=MINE, body={"count": 5}, etag=found.etag)])
        with pytest.raises(Conflict):
            await replaced(store, 1)
        await replaced(store, 6)
    assert inner.rows(TURNS)[MINE].document.body == {"count": 6}


async def test_a_run_knows_a_list_only_where_it_has_read_or_begun_it() -> None:
    clock = FakeClock()
    inner = CountedStore(clock)
    store = SparingStore(inner, clock)
    await inner.commit(TURNS, [Create(id="slot_mine_0", body={})])
    with store.sparing("mine"):
        await store.commit(TURNS, [Create(id="slot_mine_1", body={})])
        assert [each.id for each in await store.list(TURNS, prefix="slot_mine_")] == ["slot_mine_0", "slot_mine_1"]
        await store.commit(TURNS, [Create(id="slot_mine_2", body={})])
        await inner.commit(TURNS, [Create(id="slot_mine_3", body={})])
        known = await store.list(TURNS, prefix="slot_mine_", after="slot_mine_0")
        assert [each.id for each in known] == ["slot_mine_1", "slot_mine_2"]
        with pytest.raises(Conflict):
            await store.commit(TURNS, [Create(id="slot_mine_3", body={})])
        assert len(await store.list(TURNS, prefix="slot_mine_")) == 4


async def test_documents_of_others_are_read_each_time() -> None:
    clock = FakeClock()
    inner = CountedStore(clock)
    store = SparingStore(inner, clock)
    await inner.commit(TURNS, [Create(id=OTHERS, body={})])
    with store.sparing("mine"):
        await store.read(TURNS, OTHERS)
        await store.read(TURNS, OTHERS)
    assert inner.read_ids == [OTHERS, OTHERS]


async def test_what_was_learned_of_many_owners_is_forgotten() -> None:
    clock = FakeClock()
    store = SparingStore(CountedStore(clock), clock)
    with store.sparing("mine"):
        for number in range(3 * MOST_RECENT):
            key = DocumentKey(container=Container.TURNS, parts=("tenant", f"user{number}", "index"))
            await store.commit(key, [Create(id="answers", body={})])
            clock.advance(RECENT_S / 2)
            assert len(store.recent) <= MOST_RECENT


async def together(store: SparingStore, *commits: Sequence[Operation]) -> list[GanglionError | float]:
    """Make commits from runs that are open at once; return the units of each, or its error."""

    async def run(number: int, operations: Sequence[Operation]) -> GanglionError | float:
        with store.sparing(f"run{number}"), metered() as charge:
            try:
                await store.commit(MONEY, operations)
            except GanglionError as error:
                return error
            return charge.units

    return list(await asyncio.gather(*(run(number, each) for number, each in enumerate(commits))))


def attempt(number: int, cost: int, *, limit: int | None = None) -> Sequence[Operation]:
    at_most = {} if limit is None else {"taken": limit}
    return [Create(id=f"attempt_{number}", body={}), Add(id="budget", amounts={"taken": cost}, at_most=at_most)]


async def budget(clock: FakeClock) -> CountedStore:
    inner = CountedStore(clock)
    await inner.commit(MONEY, [Create(id="budget", body={"taken": 0})])
    inner.commits.clear()
    return inner


async def test_commits_of_runs_become_one_and_share_its_charge() -> None:
    clock = FakeClock()
    inner = await budget(clock)
    units = await together(SparingStore(inner, clock), *(attempt(number, 2, limit=6) for number in range(3)))
    assert units == [2.0, 2.0, 2.0]
    assert inner.commits == [4]
    assert inner.rows(MONEY)["budget"].document.body == {"taken": 6}


async def test_each_commit_has_the_outcome_that_it_would_have_alone() -> None:
    clock = FakeClock()
    inner = await budget(clock)
    await inner.commit(MONEY, [Create(id="attempt_1", body={})])
    store = SparingStore(inner, clock)
    first, taken, dear = await together(store, attempt(0, 2, limit=6), attempt(1, 2, limit=6), attempt(2, 5, limit=6))
    assert first == 6.0
    assert isinstance(taken, Conflict)
    assert taken.identifier == "attempt_1"
    assert isinstance(dear, Exhausted)
    assert inner.rows(MONEY)["budget"].document.body == {"taken": 2}


async def test_all_runs_learn_that_the_store_is_away() -> None:
    clock = FakeClock()
    inner = await budget(clock)
    inner.is_away = True
    failures = await together(SparingStore(inner, clock), attempt(0, 1), attempt(1, 1))
    assert every(isinstance(each, Unavailable) for each in failures)
    assert inner.commits == [3]
