"""Is a damaged file reported, and is what was deleted gone from the disk?"""

import asyncio
from pathlib import Path

import pytest

from clients.storage.port import Container, Create, Delete, DocumentKey
from clients.storage.sqlite.log_damage import FRAME_HEADER_BYTES, HEADER_BYTES, lost_transactions
from clients.storage.sqlite.store import SqliteStore
from domain.errors import Unavailable
from tests.fakes.clocks import FakeClock

KEY = DocumentKey(container=Container.TURNS, parts=("t", "s", "thread"))
SECRET = b"the secret of a deleted turn"
HEADER = 100
FRAME = FRAME_HEADER_BYTES + 4096


async def filled(path: Path) -> SqliteStore:
    store = SqliteStore(path, FakeClock())
    creates = [Create(id=f"msg_{number}", body={"text": SECRET.decode() * 200}) for number in range(20)]
    await store.commit(KEY, creates)
    return store


def damaged(data: bytes, kind: str) -> bytes:
    match kind:
        case "truncated":
            return data[: len(data) // 2]
        case "overwritten":
            return data[:HEADER] + b"\xa5" * (len(data) - HEADER)
        case _:
            return b"not a database" * 1000


@pytest.mark.parametrize("kind", ["truncated", "overwritten", "replaced"])
async def test_a_damaged_file_is_unavailable_and_says_what_to_do(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    await (await filled(path)).close()
    path.write_bytes(damaged(path.read_bytes(), kind))
    store = SqliteStore(path, FakeClock())
    with pytest.raises(Unavailable, match="damaged; replace it by a backup"):
        await store.list(KEY, prefix="msg_")
    await store.close()


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


async def test_a_damaged_log_is_reported_when_the_store_is_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, copy = tmp_path / "app.db", tmp_path / "copy.db"
    log = await log_after(source, 10)
    copy.write_bytes(await asyncio.to_thread(source.read_bytes))
    wal_of(copy).write_bytes(flipped(log, HEADER_BYTES + FRAME + 200))
    store = SqliteStore(copy, FakeClock())
    await store.list(KEY, prefix="msg_")
    await store.close()
    assert "lost transactions: frame 2" in caplog.text
    assert "Restore a backup" in caplog.text


async def test_deleted_text_is_in_no_file(tmp_path: Path) -> None:
    store = await filled(tmp_path / "app.db")
    assert any(SECRET in content for content in contents(tmp_path))
    await store.commit(KEY, [Delete(id=f"msg_{number}") for number in range(20)])
    assert not any(SECRET in content for content in await asyncio.to_thread(contents, tmp_path))
    await store.close()


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]
