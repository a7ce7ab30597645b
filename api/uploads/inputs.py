"""How do the files that an input names by their ids become content of the request?

The content of each file is put into the request as if the caller had sent it in `file_data`.
"""

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from api.http.request_body import MemoryShare
from domain.errors import Invalid, NotFound
from domain.files.stored_file import StoredFile
from domain.identity.owners import Owner
from state.files.file_store import FileStore

FILE_PART, CHAT_FILE = "input_file", "file"
READABLE: Final = "user_data"
FILES_LIMIT: Final = 50
type Json = dict[str, Any]
type Found = tuple[str, Json]
"""The path of a part that names a file, and the object that has `file_id`."""


class FileInputs:
    """Reads the files of one request, of at most `limit` bytes together."""

    def __init__(self, files: FileStore, *, limit: int) -> None:
        self.files = files
        self.limit = limit

    async def inlined(self, owner: Owner, body: Json, share: MemoryShare) -> Json:
        """Put the content of the named files into the body, whose share of the memory grows with it.

        Raises Invalid for an unknown file and for too much content, and Unavailable where other bodies take the memory.
        """
        found = list(named_files(body))
        check_count(found)
        room = self.limit
        for path, part in found:
            stored = await self.named(owner, part["file_id"], path)
            room -= stored.size
            if room < 0:
                raise too_much(path, self.limit)
            share.grow(share.size + stored.size)
            await self.put(owner, stored, part)
        return body

    async def named(self, owner: Owner, identifier: str, path: str) -> StoredFile:
        try:
            stored = await self.files.read(owner, identifier)
        except NotFound as error:
            raise Invalid(str(error), field=path, code="item_not_found") from None
        if stored.purpose != READABLE:
            message = f"Invalid '{path}': expected a file with the purpose {READABLE}, but it has '{stored.purpose}'."
            raise Invalid(message, field=path, code="invalid_value")
        return stored

    async def put(self, owner: Owner, stored: StoredFile, part: Json) -> None:
        pieces = [piece async for piece in self.files.content(owner, stored, 0, stored.size)]
        del part["file_id"]
        part["file_data"] = base64.b64encode(b"".join(pieces)).decode()
        part.setdefault("filename", stored.filename)


def check_count(found: Sequence[Found]) -> None:
    """Raise Invalid where an input names too many files."""
    if len(found) > FILES_LIMIT:
        raise Invalid(f"The input names more than {FILES_LIMIT} files.", field=found[-1][0], code="invalid_value")


def too_much(path: str, limit: int) -> Invalid:
    message = f"The files of the input have more than {limit:,} bytes together. The limit is GANGLION_INPUT_LIMIT."
    return Invalid(message, field=path, code="request_too_large")


def named_files(body: Json) -> Iterator[Found]:
    """Yield the parts of the input that name a file and have no content of their own."""
    for path, part in (*parts_of(body, "input"), *parts_of(body, "items"), *parts_of(body, "messages")):
        holder = part.get("file") if part.get("type") == CHAT_FILE else part
        if isinstance(holder, dict) and part.get("type") in (CHAT_FILE, FILE_PART):
            named = cast("Json", holder)
            if isinstance(named.get("file_id"), str) and not named.get("file_data"):
                yield f"{path}.file.file_id" if holder is not part else f"{path}.file_id", named


def parts_of(body: Json, field: str) -> Iterator[Found]:
    """Yield the parts of all contents and outputs; whatever has another shape is left to the validation."""
    for index, item in objects_in(body.get(field)):
        for name in ("content", "output"):
            for number, part in objects_in(item.get(name)):
                yield f"{field}[{index}].{name}[{number}]", part


def objects_in(value: Any) -> Iterator[tuple[int, Json]]:
    """Yield the objects of an array with their positions; none for anything else."""
    for index, each in enumerate(cast("list[Any]", value) if isinstance(value, list) else ()):
        if isinstance(each, dict):
            yield index, cast("Json", each)
