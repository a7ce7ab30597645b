"""How are files uploaded, listed, read and deleted over HTTP?"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final

from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse
from msgspec import Struct

from api.http.authentication import Authenticator, owner_of
from api.http.conditional import conditional, is_known
from api.http.errors import json_answer
from api.http.pagination import FILES_LIMIT, continued_list, read_page_request, unknown_cursor
from api.http.request_body import declared_size
from api.parsing.field_rules import ignored_header
from api.rendering.response import Json
from api.uploads.byte_range import requested_range
from api.uploads.form import FILE, Form, read_form
from domain.errors import Conflict, GanglionError, Invalid, NotFound
from domain.files.allowance import FileAllowance
from domain.files.stored_file import BATCH_FILE_S, LISTED_PURPOSES, PURPOSES, StoredFile
from domain.identity.owners import Owner
from state.batches.batch_store import BatchStore
from state.files.file_store import FileStore
from state.files.upload import FileUpload
from state.rate_limits import RateLimiter

FILENAME_CHARACTERS: Final = 256
SHORTEST_S, LONGEST_S = 3600, 30 * 86_400
SECONDS_DIGITS: Final = 8
ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"
KNOWN: Final = frozenset({"purpose", ANCHOR, SECONDS})
IN_USE: Final = "The file is the input of a batch that has not ended. Cancel the batch, or wait for its end."
OCTETS: Final = "application/octet-stream"


class FileFunctions(Struct, frozen=True, kw_only=True):
    """The HTTP functions of files. `limit` is the size of the largest file, in bytes."""

    authenticator: Authenticator
    limits: RateLimiter
    files: FileStore
    batches: BatchStore
    limit: int
    allowance: FileAllowance

    async def create(self, req: Request) -> Response:
        """`POST /v1/files`"""
        owner = await owner_of(req, self.authenticator)
        await self.limits.take(owner)
        await self.check_allowance(owner, size=0)
        upload = FileUpload(self.files, owner, expected=size_at_most(req))
        try:
            form = await read_form(req, upload.add, limit=self.limit)
            purpose, keep_s = purpose_of(form.fields), keep_s_of(form.fields)
            filename, unknown = filename_of(form), tuple(form.fields.keys() - KNOWN)
            await self.check_allowance(owner, size=upload.size)
            stored = await upload.complete(filename=filename, purpose=purpose, keep_s=keep_s)
        except GanglionError:
            with suppress(GanglionError):  # the timer deletes what can't be deleted now
                await upload.abandon()
            raise
        return json_answer(openai_from_file(stored), headers=ignored_header(unknown))

    async def check_allowance(self, owner: Owner, *, size: int) -> None:
        """Raise Invalid where an owner may not have another file of `size` bytes."""
        existing = await self.files.kept(owner)
        if excess := self.allowance.excess(existing, size=size):
            raise Invalid(excess, field=FILE, code="file_allowance_exceeded")

    async def list(self, req: Request) -> Response:
        """`GET /v1/files`, newest first, or oldest first"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req, most=FILES_LIMIT)
        purpose = req.query_params.get("purpose")
        if purpose is not None and purpose not in LISTED_PURPOSES:
            raise unknown_purpose(LISTED_PURPOSES)
        page_of = self.files.page if wanted.order == "desc" else self.files.oldest
        try:
            page = await page_of(owner, purpose=purpose, after=wanted.after, limit=wanted.limit)
        except NotFound:
            raise unknown_cursor(wanted.after) from None
        return json_answer(
            continued_list([openai_from_file(each) for each in page.found], more=page.more, last=page.last)
        )

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/files/{file_id}`"""
        owner = await owner_of(req, self.authenticator)
        return json_answer(openai_from_file(await self.files.read(owner, req.path_params["file_id"])))

    async def content(self, req: Request) -> Response:
        """`GET /v1/files/{file_id}/content`: the bytes, or the range that the request asks for, for one token."""
        owner = await owner_of(req, self.authenticator)
        await self.limits.take(owner)
        stored = await self.files.read(owner, req.path_params["file_id"])
        tag = f'"{stored.digest[:32]}"'
        whole = req.headers.get("if-range", tag) != tag
        part = None if whole else requested_range(req.headers.get("range"), stored.size)
        first, end = part or (0, stored.size)
        headers = {"accept-ranges": "bytes", "content-length": str(max(end - first, 0)), **attachment(stored)}
        if part:
            headers["content-range"] = f"bytes {first}-{end - 1}/{stored.size}"
            if end <= first:
                return Response(status_code=416, headers={"content-range": f"bytes */{stored.size}"})
        pieces = self.files.content(owner, stored, first, end)
        answer = StreamingResponse(
            pieces if req.method == "HEAD" or is_known(req, tag) else await begun(pieces),
            status_code=206 if part else 200,
            media_type=OCTETS,
            headers=headers,
        )
        return conditional(req, answer, tag)

    async def delete(self, req: Request) -> Response:
        """`DELETE /v1/files/{file_id}`: a file stays while a batch reads it."""
        owner = await owner_of(req, self.authenticator)
        identifier = req.path_params["file_id"]
        await self.files.read(owner, identifier)
        if await self.batches.reads_file(owner, identifier):
            raise Conflict(IN_USE)
        await self.files.delete(owner, identifier)
        return json_answer({"id": identifier, "object": "file", "deleted": True})


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Return pieces of which the first was read: what goes wrong until then is an error, and no broken answer."""
    first = await anext(pieces, b"")

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()


def size_at_most(req: Request) -> int | None:
    """Return the most bytes that the file of a form can have; None where the length of the form does not tell."""
    return None if req.headers.get("content-encoding") else declared_size(req)


def attachment(stored: StoredFile) -> Mapping[str, str]:
    """Return the header by which a browser saves the content and never shows it."""
    plain = "".join(each if each.isascii() and each not in '"\\' else "_" for each in stored.filename)
    return {"content-disposition": f'attachment; filename="{plain}"'}


def openai_from_file(stored: StoredFile) -> Json:
    described: Json = {
        "id": stored.id,
        "object": "file",
        "bytes": stored.size,
        "created_at": int(stored.created_at),
        "filename": stored.filename,
        "purpose": stored.purpose,
        "status": "processed",
    }
    return described if stored.expires_at is None else described | {"expires_at": int(stored.expires_at)}


def unknown_purpose(known: Sequence[str]) -> Invalid:
    return Invalid(f"Invalid 'purpose': expected one of {', '.join(known)}.", field="purpose", code="invalid_value")


def purpose_of(fields: Mapping[str, str]) -> str:
    if "purpose" not in fields:
        raise Invalid("Missing required parameter: 'purpose'.", field="purpose", code="missing_required_parameter")
    if fields["purpose"] not in PURPOSES:
        raise unknown_purpose(PURPOSES)
    return fields["purpose"]


def keep_s_of(fields: Mapping[str, str]) -> float | None:
    """Return how long a file is kept, in seconds; None where it is kept until it is deleted."""
    seconds = fields.get(SECONDS)
    if ANCHOR not in fields and seconds is None:
        return BATCH_FILE_S if fields["purpose"] == "batch" else None
    if fields.get(ANCHOR) != "created_at":
        raise Invalid(f"Invalid '{ANCHOR}': expected created_at.", field="expires_after.anchor", code="invalid_value")
    is_whole = seconds is not None and seconds.isascii() and seconds.isdecimal() and len(seconds) <= SECONDS_DIGITS
    if seconds is None or not is_whole or not SHORTEST_S <= int(seconds) <= LONGEST_S:
        message = f"Invalid '{SECONDS}': expected {SHORTEST_S} to {LONGEST_S} seconds."
        raise Invalid(message, field="expires_after.seconds", code="invalid_value")
    return float(seconds)


def filename_of(form: Form) -> str:
    """Return the name of the file; raises Invalid for one with a path or control characters."""
    name = form.filename
    plain = name.isprintable() and PurePosixPath(name).name == name and "\\" not in name
    if not plain or name in ("", ".", "..") or len(name) > FILENAME_CHARACTERS:
        message = (
            f"Invalid name of the file: expected 1 to {FILENAME_CHARACTERS} characters without a path and without "
            "control characters."
        )
        raise Invalid(message, field=FILE, code="invalid_value")
    return name
