"""Does a change succeed among many writers, and does it stop when it never can?"""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pytest

from clients.storage.compare_and_swap import (
    TRIES,
    WITHIN_S,
    commit_if_unchanged,
    compare_and_swap,
    create_once,
)
from clients.storage.port import Container, Create, DocumentKey, Replace
from clients.storage.retry import FIRST_PAUSE_S, LONGEST_PAUSE_S, with_back_off
from domain.errors import Conflict, NotFound, Unavailable
from tests.checks import every
from tests.fakes.clocks import FakeClock, LoopClock, in_no_time
from tests.fakes.stores import MemoryStore

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))


class LargestPauses(FakeClock):
    """A clock whose random fractions are as large as possible."""

    def fraction(self) -> float:
        return 1.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(clock: FakeClock) -> MemoryStore:
    made = MemoryStore(clock)
    await made.commit(KEY, (Create(id="number", body={"count": 0}),))
    return made


async def count_of(store: MemoryStore) -> int:
    found = await store.read(KEY, "number")
    assert found
    return found.body["count"]


async def add_one(store: MemoryStore) -> None:
    found = await store.read(KEY, "number")
    assert found
    await store.commit(KEY, (Replace(id="number", body={"count": found.body["count"] + 1}, etag=found.etag),))


def test_every_change_of_many_writers_is_kept() -> None:
    async def changed() -> int:
        clock = LoopClock()
        store = MemoryStore(clock)
        await store.commit(KEY, (Create(id="number", body={"count": 0}),))
        await asyncio.gather(*(compare_and_swap(clock, partial(add_one, store)) for _ in range(200)))
        return await count_of(store)

    assert in_no_time(changed()) == 200


async def test_a_change_without_a_conflict_runs_once_and_does_not_sleep(clock: FakeClock) -> None:
    tries: list[int] = []

    async def step() -> str:
        tries.append(1)
        return "done"

    assert await compare_and_swap(clock, step) == "done"
    assert (len(tries), clock.slept) == (1, [])


async def conflict() -> None:
    raise Conflict("'number' is not as expected", identifier="number")


async def test_a_change_that_always_conflicts_is_unavailable_and_names_its_document(clock: FakeClock) -> None:
    with pytest.raises(Unavailable, match="document 'number'") as caught:
        await compare_and_swap(clock, conflict, tries=4)
    assert caught.value.delay_s > 0
    assert len(clock.slept) == 3


async def test_a_change_stops_after_its_time_before_its_last_try() -> None:
    clock = LargestPauses()
    with pytest.raises(Unavailable):
        await compare_and_swap(clock, conflict)
    assert len(clock.slept) < TRIES
    assert WITHIN_S <= sum(clock.slept) <= WITHIN_S + LONGEST_PAUSE_S


async def test_pauses_double_up_to_the_longest() -> None:
    clock = LargestPauses()
    with pytest.raises(Conflict):
        await with_back_off(clock, conflict, retry_on=(Conflict,), tries=10)
    assert clock.slept[0] == FIRST_PAUSE_S
    assert every(later == min(2 * earlier, LONGEST_PAUSE_S) for earlier, later in pairwise(clock.slept))


@pytest.mark.parametrize("error", [NotFound("gone"), Unavailable("the store is busy")])
async def test_other_errors_are_raised_at_once(clock: FakeClock, error: Exception) -> None:
    async def step() -> None:
        raise error

    with pytest.raises(type(error)):
        await compare_and_swap(clock, step)
    assert clock.slept == []


@pytest.mark.parametrize(("identifiers", "created"), [(["new"], True), (["number"], False), (["new", "number"], False)])
async def test_documents_are_created_together_or_not_at_all(
    store: MemoryStore, identifiers: Sequence[str], *, created: bool
) -> None:
    assert await create_once(store, KEY, *(Create(id=each, body={"count": 7}) for each in identifiers)) is created
    assert (await store.read(KEY, "new") is not None) is created
    assert await count_of(store) == 0


async def test_a_commit_on_a_changed_document_writes_nothing(store: MemoryStore) -> None:
    found = await store.read(KEY, "number")
    assert found
    change = Replace(id="number", body={"count": 1}, etag=found.etag)
    assert await commit_if_unchanged(store, KEY, (change,))
    assert not await commit_if_unchanged(store, KEY, (change,))
