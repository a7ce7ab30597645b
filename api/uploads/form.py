"""How is a form with one file read (RFC 7578), piece by piece, so that the file is never whole in memory?"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from azurefunctions.extensions.http.fastapi import Request
from msgspec import Struct, field
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from api.http.packed_body import unpacker_for
from api.http.request_body import declared_size
from domain.errors import Invalid

FILE: Final = "file"
FIELD_BYTES: Final = 1024
"""The bytes that one field beside the file may have."""
FIELDS_LIMIT: Final = 16
LARGEST: Final = 209_715_200
"""The bytes of the largest file that OpenAI takes for a batch, 200 MiB: the limit where a blob storage keeps them."""
FRAME_BYTES: Final = 65_536
"""The bytes that a form may have beside its file: boundaries, headers and fields."""
UPLOAD_S: Final = 300.0
"""A form that has not arrived after this many seconds is given up."""
LATE: Final = f"The file did not arrive within {UPLOAD_S:.0f} seconds."
EXPECTED: Final = "Expected a form (Content-Type: multipart/form-data with a boundary) with one part named 'file'."


def broken(reason: str) -> Invalid:
    return Invalid(f"The form is broken: {reason}. {EXPECTED}", code="invalid_multipart")


def file_too_large(limit: int) -> Invalid:
    message = (
        f"The file is larger than {limit:,} bytes. The limit is set with GANGLION_FILE_LIMIT; with "
        f"GANGLION_BLOB_URL it is {LARGEST:,} bytes."
    )
    return Invalid(message, field=FILE, code="request_too_large")


class Part(Struct):
    """One part of the form as far as it has arrived."""

    name: str = ""
    filename: str | None = None
    value: bytearray = field(default_factory=bytearray)


class FormParser:
    """Parses one form. The file's bytes are in `arrived` until they are taken; the other parts become `fields`."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.arrived = bytearray()
        self.ended = False
        self.part = Part()
        self.header = self.header_value = b""
        try:
            self.parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self.begin_part,
                    "on_header_field": self.add_header_name,
                    "on_header_value": self.add_header_value,
                    "on_header_end": self.end_header,
                    "on_headers_finished": self.end_headers,
                    "on_part_data": self.add_data,
                    "on_part_end": self.end_part,
                    "on_end": self.end,
                },
            )
        except FormParserError:
            raise broken("its boundary is too long") from None

    def feed(self, chunk: bytes) -> bytes:
        """Parse the next bytes of the body and return the next bytes of the file; raises Invalid."""
        try:
            self.parser.write(chunk)
        except FormParserError:
            raise broken("a boundary or a header is malformed") from None
        taken = bytes(self.arrived)
        self.arrived.clear()
        return taken

    def begin_part(self) -> None:
        self.part = Part()

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self.header_value += data[start:end]

    def end_header(self) -> None:
        if self.header.lower() == b"content-disposition":
            _, options = parse_options_header(self.header_value.decode("latin-1"))
            self.part.name = text_of(options.get(b"name", b""))
            self.part.filename = text_of(options[b"filename"]) if b"filename" in options else None
        self.header = self.header_value = b""

    def end_headers(self) -> None:
        """Reject a part that has no name, and a second file."""
        if not self.part.name:
            raise broken("a part has no name")
        if self.part.name == FILE:
            if self.filename is not None:
                raise broken("it has more than one file")
            if self.part.filename is None:
                raise Invalid("Invalid 'file': expected a file with a name.", field=FILE, code="invalid_value")
            self.filename = self.part.filename

    def add_data(self, data: bytes, start: int, end: int) -> None:
        if self.part.name == FILE:
            self.arrived += data[start:end]
            return
        self.part.value += data[start:end]
        if len(self.part.value) > FIELD_BYTES:
            message = f"Invalid '{self.part.name[:64]}': expected at most {FIELD_BYTES:,} bytes."
            raise Invalid(message, field=self.part.name[:64], code="invalid_value")

    def end_part(self) -> None:
        if self.part.name == FILE:
            return
        name = self.part.name[:64]
        if self.part.name in self.fields:
            raise Invalid(f"Invalid '{name}': the form has this field twice.", field=name, code="invalid_value")
        if len(self.fields) == FIELDS_LIMIT:
            raise broken(f"it has more than {FIELDS_LIMIT} fields")
        self.fields[self.part.name] = text_of(bytes(self.part.value))

    def end(self) -> None:
        self.ended = True


def text_of(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise broken("a name or a field is not in UTF-8") from None


class Form(Struct, frozen=True, kw_only=True):
    """The name of a form's file, whose content was passed on, and its other fields."""

    filename: str
    fields: dict[str, str]


async def read_form(request: Request, keep: Callable[[bytes], Awaitable[None]], *, limit: int) -> Form:
    """Read a form and give `keep` its file of at most `limit` bytes, piece by piece.

    Raises Invalid; a body whose length exceeds the limit is not read.
    """
    parser = FormParser(boundary_of(request))
    if (declared_size(request) or 0) > limit + FRAME_BYTES:
        raise file_too_large(limit)
    try:
        async with asyncio.timeout(UPLOAD_S):
            async for content in file_content(request, parser, limit=limit):
                await keep(content)
    except TimeoutError:
        raise Invalid(LATE, code="request_timeout") from None
    except ClientDisconnect:
        raise broken("the connection was closed before its end") from None
    if not parser.ended:
        raise broken("its last boundary is missing")
    if parser.filename is None:
        raise Invalid("Missing required parameter: 'file'.", field=FILE, code="missing_required_parameter")
    return Form(filename=parser.filename, fields=parser.fields)


async def file_content(request: Request, parser: FormParser, *, limit: int) -> AsyncIterator[bytes]:
    """Yield the bytes of the file as they arrive; raises Invalid where they are more than `limit`."""
    size = 0
    async for chunk in unpacked(request, limit=limit):
        content = parser.feed(chunk)
        size += len(content)
        if size > limit:
            raise file_too_large(limit)
        if content:
            yield content


async def unpacked(request: Request, *, limit: int) -> AsyncIterator[bytes]:
    """Yield the body without its content coding; raises Invalid where it is larger than a form with its file may be."""
    unpacker = unpacker_for(", ".join(request.headers.getlist("content-encoding")))
    room = limit + FRAME_BYTES
    async for packed in request.stream():
        for chunk in unpacker.pieces(packed, room=room) if unpacker else (packed,):
            room -= len(chunk)
            if room < 0:
                raise file_too_large(limit)
            if chunk:
                yield chunk
    if unpacker:
        unpacker.check_complete()


def boundary_of(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Invalid(EXPECTED, code="invalid_multipart")
    return boundary
