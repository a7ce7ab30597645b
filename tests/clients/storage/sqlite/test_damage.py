"""Is a damaged file reported, and is what was deleted gone from the disk?"""

import asyncio
from pathlib import Path

import pytest

from clients.storage.port import Create, Delete
from clients.storage.sqlite.log_damage import HEADER_BYTES
from clients.storage.sqlite.store import SqliteStore
from domain.errors import Unavailable
from tests.clients.storage.sqlite.test_log_damage import FRAME, KEY, flipped, log_after, wal_of
from tests.fakes.clocks import FakeClock

SECRET = b"the secret of a deleted turn"
HEADER = 100


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
