"""Does every store keep files?"""

from clients.storage.port import DocumentStore
from state.files.file_store import FileStore
from state.files.parts import PART_BYTES
from state.files.upload import FileUpload
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import OWNER

CONTENT = bytes(range(256)) * (PART_BYTES // 100)
"""Two full parts and a part of a third, with every byte."""


async def test_a_file_is_kept_and_its_ranges_are_read(store: DocumentStore, clock: FakeClock) -> None:
    files = FileStore(store, clock)
    upload = FileUpload(files, OWNER)
    await upload.add(CONTENT)
    stored = await upload.complete(filename="a.bin", purpose="user_data", keep_s=3600)
    assert await files.read(OWNER, stored.id) == stored
    for first, end in ((0, len(CONTENT)), (PART_BYTES - 1, PART_BYTES + 1), (len(CONTENT) - 1, len(CONTENT))):
        pieces = [piece async for piece in files.content(OWNER, stored, first, end)]
        assert b"".join(pieces) == CONTENT[first:end]
    assert (await files.page(OWNER, purpose=None, after="", limit=10)).found == (stored,)
    await files.delete(OWNER, stored.id)
    assert (await files.page(OWNER, purpose=None, after="", limit=10)).found == ()
