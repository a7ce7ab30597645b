"""How does the SQLite store handle files, locks, failures and other processes?"""

import asyncio
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pytest

from clients.storage.port import Add, Container, Create, DocumentKey
from clients.storage.sqlite import connection as sqlite_file
from clients.storage.sqlite.store import FORGET_S, SqliteStore
from domain.errors import Conflict, Unavailable, UnknownOutcome
from tests.fakes.clocks import FakeClock

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))
WRITER = """
import asyncio, sys
from pathlib import Path
from clients.clock import SystemClock
from clients.storage.sqlite.store import SqliteStore
from clients.storage.port import Add, Container, Create, DocumentKey
from domain.errors import Conflict

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))

async def main(path, name, times):
    store = SqliteStore(Path(path), SystemClock())
    try:
        await store.commit(KEY, [Create(id="sum", body={})])
    except Conflict:
        pass
    for number in range(int(times)):
        await store.commit(KEY, [Add(id="sum", amounts={"n": 1}), Create(id=f"{name}_{number:06d}", body={})])
        print(number, flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "app.db"


@pytest.fixture
async def store(path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path, clock)
    yield made
    await made.close()


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the file's write lock, as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def run_writer(path: Path, name: str, times: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), name, str(times), stdout=asyncio.subprocess.PIPE
    )


async def test_nothing_is_opened_before_the_first_use(store: SqliteStore, path: Path) -> None:
    assert not path.parent.exists()
    await store.read(KEY, "one")
    assert [file.name for file in path.parent.iterdir()] != []


async def test_the_file_is_for_its_user_alone(store: SqliteStore, path: Path) -> None:
    await store.commit(KEY, [Create(id="one", body={})])
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["app.db", "app.db-shm", "app.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_closed_store_is_unavailable_and_may_be_closed_again(store: SqliteStore, path: Path) -> None:
    await store.commit(KEY, [Create(id="one", body={})])
    await store.close()
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.read(KEY, "one")
    assert [file.name for file in path.parent.iterdir()] == ["app.db"]


async def test_a_store_that_was_never_used_closes(path: Path, clock: FakeClock) -> None:
    await SqliteStore(path, clock).close()
    assert not path.parent.exists()


async def test_closing_waits_for_earlier_calls(path: Path, clock: FakeClock) -> None:
    first, second = SqliteStore(path, clock), SqliteStore(path, clock)
    writes = [asyncio.create_task(first.commit(KEY, [Create(id=f"n{number}", body={})])) for number in range(50)]
    await asyncio.sleep(0)
    await first.close()
    await asyncio.gather(*writes)
    assert len(await second.list(KEY, prefix="n")) == 50
    await second.close()


async def test_a_locked_file_is_unavailable_for_writes_and_open_for_reads(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.05)
    await store.commit(KEY, [Create(id="one", body={})])
    with locked(path):
        with pytest.raises(Unavailable, match="busy with another process"):
            await store.commit(KEY, [Create(id="two", body={})])
        assert await store.read(KEY, "one") is not None
    await store.commit(KEY, [Create(id="two", body={})])


async def test_waiting_for_a_lock_does_not_stop_the_event_loop(store: SqliteStore, path: Path) -> None:
    await store.commit(KEY, [Create(id="one", body={})])
    with locked(path):
        write = asyncio.create_task(store.commit(KEY, [Create(id="two", body={})]))
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert not write.done()
    await write
    assert await store.read(KEY, "two") is not None


async def test_a_cancelled_commit_is_whole_or_absent(store: SqliteStore) -> None:
    batches = [[Create(id=f"{half}{number:03d}", body={}) for half in "ab"] for number in range(100)]
    writes = [asyncio.create_task(store.commit(KEY, batch)) for batch in batches]
    await asyncio.sleep(0)
    for write in writes[::2]:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    found = [document.id for document in await store.list(KEY, prefix="")]
    assert [one[1:] for one in found if one[0] == "a"] == [one[1:] for one in found if one[0] == "b"]
    assert {f"a{number:03d}" for number in range(1, 100, 2)} <= set(found)


async def test_a_full_disk_is_unavailable_and_named(store: SqliteStore) -> None:
    await store.commit(KEY, [Create(id="one", body={})])
    await store.on_thread(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchall())
    big = Create(id="big", body={"text": "x" * 100_000})
    with pytest.raises(Unavailable, match="the disk of the store is full"):
        await store.commit(KEY, [big])
    assert await store.read(KEY, "big") is None
    await store.commit(KEY, [big])


async def test_a_disk_that_fails_in_the_last_step_leaves_the_outcome_unknown(store: SqliteStore, path: Path) -> None:
    await store.commit(KEY, [Create(id="one", body={})])
    limits = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (path.with_name("app.db-wal").stat().st_size, limits[1]))
    try:
        with pytest.raises(UnknownOutcome, match="the disk of the store failed"):
            await store.commit(KEY, [Create(id="two", body={"text": "x" * 100_000})])
    finally:
        setrlimit(RLIMIT_FSIZE, limits)
    assert await store.read(KEY, "two") is None
    await store.commit(KEY, [Create(id="two", body={})])


async def test_a_folder_that_cannot_be_made_is_unavailable(path: Path, clock: FakeClock) -> None:
    path.parent.write_text("a file where the folder should be")
    store = SqliteStore(path, clock)
    with pytest.raises(Unavailable, match="cannot be opened"):
        await store.read(KEY, "one")
    path.parent.unlink()
    assert await store.read(KEY, "one") is None
    await store.close()


def count_rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM documents").fetchone()[0]


async def test_expired_documents_are_deleted_now_and_then(store: SqliteStore, path: Path, clock: FakeClock) -> None:
    for start in range(0, 500, 100):
        operations = [Create(id=f"n{start + i}", body={}, expires_at=clock.now() + 1) for i in range(100)]
        await store.commit(KEY, operations)
    clock.advance(1)
    await store.commit(KEY, [Create(id="a", body={})])
    assert count_rows(path) == 501
    clock.advance(FORGET_S)
    for name in "bcd":
        await store.commit(KEY, [Create(id=name, body={})])
    assert count_rows(path) == 4


@pytest.mark.slow
async def test_processes_that_start_together_on_no_file_all_write(path: Path, store: SqliteStore) -> None:
    writers = [await run_writer(path, f"w{number}", 50) for number in range(4)]
    for writer in writers:
        await writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 4
    total = await store.read(KEY, "sum")
    assert total is not None
    assert total.body == {"n": 200}
    assert len(await store.list(KEY, prefix="w")) == 200


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 7, 40])
async def test_a_killed_process_loses_no_finished_commit_and_its_successor_continues(
    path: Path, store: SqliteStore, lines: int
) -> None:
    writer = await run_writer(path, "w", 1_000_000)
    assert writer.stdout is not None
    told = [int(await writer.stdout.readline()) for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = await writer.communicate()
    last = int(rest.split(b"\n")[-2]) if rest.count(b"\n") else told[-1]
    documents = await store.list(KEY, prefix="w_", limit=1_000_000)
    total = await store.read(KEY, "sum")
    assert total is not None
    assert total.body["n"] == len(documents) >= last + 1
    await store.commit(KEY, [Add(id="sum", amounts={"n": 1})])
    with pytest.raises(Conflict):
        await store.commit(KEY, [Create(id=documents[-1].id, body={})])
