"""Do concurrent changes share their commits, and does each caller get its own result?"""

import asyncio
from collections.abc import Sequence

import pytest

from clients.storage.group_commit import GroupCommit
from domain.errors import DamagedRecord, Unavailable


class Recorder:
    """Writes changes in batches; a change below 0 fails alone, and 13 fails its whole batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()

    async def write(self, changes: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(changes))
        await self.gate.wait()
        if 13 in changes:
            raise Unavailable("the store is gone")
        return [DamagedRecord.by_id("x") if each < 0 else each * 10 for each in changes]


async def begin(commits: GroupCommit[int, int], *changes: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(commits.submit(each)) for each in changes]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_changes_that_arrive_during_a_commit_share_the_next_one() -> None:
    recorder = Recorder()
    commits = GroupCommit(recorder.write, most=10)
    first = await begin(commits, 1)
    others = await begin(commits, 2, 3, 4)
    recorder.gate.set()
    assert await asyncio.gather(*first, *others) == [10, 20, 30, 40]
    assert recorder.batches == [[1], [2, 3, 4]]


async def test_a_commit_has_a_limited_number_of_changes() -> None:
    recorder = Recorder()
    commits = GroupCommit(recorder.write, most=2)
    tasks = await begin(commits, 1)
    tasks += await begin(commits, 2, 3, 4)
    recorder.gate.set()
    assert await asyncio.gather(*tasks) == [10, 20, 30, 40]
    assert recorder.batches == [[1], [2, 3], [4]]


async def test_a_change_that_fails_alone_leaves_the_others_alone() -> None:
    recorder = Recorder()
    recorder.gate.set()
    commits = GroupCommit(recorder.write, most=10)
    found = await asyncio.gather(*(commits.submit(each) for each in (1, -1, 2)), return_exceptions=True)
    assert found[0] == 10
    assert isinstance(found[1], DamagedRecord)
    assert found[2] == 20


async def test_a_commit_that_fails_fails_for_all_of_its_callers_and_no_other() -> None:
    recorder = Recorder()
    commits = GroupCommit(recorder.write, most=10)
    tasks = await begin(commits, 1)
    tasks += await begin(commits, 13, 2)
    recorder.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[0] == 10
    assert isinstance(found[1], Unavailable)
    assert isinstance(found[2], Unavailable)
    assert await commits.submit(3) == 30


async def test_a_caller_that_is_cancelled_while_it_waits_writes_nothing_and_stops_nobody() -> None:
    recorder = Recorder()
    commits = GroupCommit(recorder.write, most=10)
    (first,) = await begin(commits, 1)
    second, third = await begin(commits, 2, 3)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    recorder.gate.set()
    assert await asyncio.gather(first, third) == [10, 30]
    assert recorder.batches == [[1], [3]]


async def test_a_caller_that_is_cancelled_during_its_commit_fails_no_other() -> None:
    recorder = Recorder()
    commits = GroupCommit(recorder.write, most=10)
    (first,) = await begin(commits, 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    (second,) = await begin(commits, 2)
    recorder.gate.set()
    assert await second == 20


async def test_the_commit_of_a_cancelled_caller_ends_before_the_next_begins() -> None:
    recorder = Recorder()
    commits = GroupCommit(recorder.write, most=10)
    (first,) = await begin(commits, 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second, third = await begin(commits, 2, 3)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await asyncio.sleep(0)
    assert recorder.batches == [[1]]
    recorder.gate.set()
    assert await third == 30
    assert recorder.batches == [[1], [3]]
