"""Is a file read as the first release of files stored it, and stored alike?"""

from clients.storage.keys import turns_key
from clients.storage.port import Container
from clients.storage.sqlite.store import SqliteStore
from domain.files.stored_file import StoredFile
from domain.turns.webhook_events import WebhookEndpoints
from state.files.file_store import FileStore
from state.files.parts import blob_mark, file_document_id, part
from state.files.upload import entry, written
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.frozen.documents import as_json, frozen, insert
from tests.frozen.objects import OWNER, THREAD

CONTENT = b"Ada likes ships."
FILE = frozen(Container.TURNS, "file")
NAMES = ("file", "listed_file", "file_part", "expiry_file")


async def test_a_file_is_listed_and_read(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, *NAMES)
    files = FileStore(store, clock)
    (stored,) = (await files.page(OWNER, purpose="user_data", after="", limit=5)).found
    assert stored == await files.read(OWNER, FILE.body["file"])
    assert b"".join([each async for each in files.content(OWNER, stored, 0, stored.size)]) == CONTENT


async def test_a_file_ends_when_its_expiry_document_says(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, *NAMES)
    clock.advance(FILE.body["expires_at"] - clock.now() + 1)
    assert await Retention(store, TurnStore(store, clock, WebhookEndpoints()), clock).clear_due() == 1
    assert await store.list(turns_key(OWNER, THREAD), prefix="") == []


def test_a_file_is_written_as_it_was() -> None:
    stored = StoredFile.from_document(FILE.body)
    listed = frozen(Container.TURNS, "listed_file")
    assert (file_document_id(stored.id), as_json(written(stored, None).body)) == (FILE.id, FILE.body)
    assert (entry(stored).id, as_json(entry(stored).body)) == (listed.id, listed.body)
    first = frozen(Container.TURNS, "file_part")
    assert (part(0, CONTENT).id, as_json(part(0, CONTENT).body)) == (first.id, first.body)
    mark = frozen(Container.TURNS, "file_blob")
    assert (blob_mark(stored.created_at).id, as_json(blob_mark(stored.created_at).body)) == (mark.id, mark.body)
