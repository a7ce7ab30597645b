"""Is a write-ahead log that lost transactions told from one that only ends early?"""

import asyncio
from pathlib import Path

import pytest

from clients.storage.port import Container, Create, DocumentKey
from clients.storage.sqlite.log_damage import FRAME_HEADER_BYTES, HEADER_BYTES, lost_transactions
from clients.storage.sqlite.store import SqliteStore
from tests.fakes.clocks import FakeClock

KEY = DocumentKey(container=Container.TURNS, parts=("t", "s", "thread"))
FRAME = FRAME_HEADER_BYTES + 4096


async def log_after(path: Path, commits: int) -> bytes:
    """Return the write-ahead log of a database after so many commits, while the database is open."""
    store = SqliteStore(path, FakeClock())
    for number in range(commits):
        await store.commit(KEY, [Create(id=f"msg_{number}", body={"text": "x" * 5000})])
    log = await asyncio.to_thread(wal_of(path).read_bytes)
    await store.close()
    return log


def wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def flipped(log: bytes, at: int) -> bytes:
    return log[:at] + bytes([log[at] ^ 0xFF]) + log[at + 1 :]


async def test_a_whole_log_lost_nothing(tmp_path: Path) -> None:
    log = await log_after(tmp_path / "app.db", 10)
    copy = tmp_path / "copy-wal"
    copy.write_bytes(log)
    assert len(log) > 10 * FRAME
    assert lost_transactions(copy) == ""
    assert lost_transactions(tmp_path / "none") == ""


@pytest.mark.parametrize("cut", [1, FRAME // 2, FRAME - 1, 3 * FRAME])
async def test_a_log_that_ends_early_lost_nothing_that_it_still_has(tmp_path: Path, cut: int) -> None:
    log = await log_after(tmp_path / "app.db", 10)
    copy = tmp_path / "copy-wal"
    copy.write_bytes(log[:-cut])
    assert lost_transactions(copy) == ""


@pytest.mark.parametrize("at", [HEADER_BYTES + FRAME_HEADER_BYTES + 100, HEADER_BYTES + 18, HEADER_BYTES + 5 * FRAME])
async def test_a_changed_byte_before_a_commit_is_lost_transactions(tmp_path: Path, at: int) -> None:
    log = await log_after(tmp_path / "app.db", 10)
    copy = tmp_path / "copy-wal"
    copy.write_bytes(flipped(log, at))
    number = (at - HEADER_BYTES) // FRAME + 1
    assert lost_transactions(copy).startswith(f"frame {number} of {(len(log) - HEADER_BYTES) // FRAME} is damaged")


async def test_a_damaged_header_loses_the_whole_log(tmp_path: Path) -> None:
    copy = tmp_path / "copy-wal"
    copy.write_bytes(flipped(await log_after(tmp_path / "app.db", 3), 17))
    assert lost_transactions(copy).startswith("its header is damaged")
