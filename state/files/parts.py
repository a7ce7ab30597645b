"""Under which ids are the documents of a file stored, and how is a part of its content encoded?

The owner's index has the document of a file, which names a thread, and its entry in the list. The thread's partition
has the content in parts, and the head: a copy of the file's document, by which a part finds its file.
"""

import base64
from collections.abc import Iterable
from typing import Any, Final

from clients.storage.damage import read_or_none
from clients.storage.port import Create, Document
from domain.ids import TOKEN

PART_BYTES: Final = 262_144
"""The bytes of every part but the last. In base64 a part takes 350 KB of the 2 MB that a document may have."""

HEAD: Final = "file"
FILES: Final = "file_"
LISTED: Final = "filelist_"
UPLOADS: Final = "upload_"
PARTS: Final = "bytes_"
BLOB: Final = "blob"
"""The document that says that a thread's content is, or will be, outside the store."""


def file_document_id(file_id: str) -> str:
    return f"{FILES}{file_id}"


def part_id(number: int) -> str:
    return f"{PARTS}{number:06d}"


def part(number: int, content: bytes) -> Create:
    body: dict[str, Any] = {"kind": "file_part", "v": 1, "data": base64.b64encode(content).decode()}
    return Create(id=part_id(number), body=body)


def content_of(document: Document) -> bytes:
    return document.read_as(lambda body: base64.b64decode(body["data"]))


def upload_id(thread: str) -> str:
    """Return the name under which the timer looks at a thread of a file."""
    return f"{UPLOADS}{thread}"


def thread_of_upload(identifier: str) -> str | None:
    thread = identifier.removeprefix(UPLOADS)
    return thread if identifier.startswith(UPLOADS) and TOKEN.fullmatch(thread) else None


def blob_mark(at: float) -> Create:
    return Create(id=BLOB, body={"kind": "file_blob", "v": 1, "at": at})


def is_outside(documents: Iterable[Document]) -> bool:
    """Tell whether the content of a thread may be outside the store, as its mark or its head says.

    Of a head that is damaged, the mark alone counts: a content outside has one before its first byte.
    """
    return any(each.id == BLOB or (each.id == HEAD and read_or_none(each, says_outside)) for each in documents)


def says_outside(head: Document) -> bool:
    return bool(head.body.get("outside"))
