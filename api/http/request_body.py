"""How is the body of a request read and parsed within limits of bytes, memory and time?"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

from azurefunctions.extensions.http.fastapi import Request
from msgspec import Struct
from starlette.requests import ClientDisconnect

from api.http.json_body import read_object
from api.http.packed_body import unpacker_for
from domain.errors import Invalid, Unavailable

SMALL = 65_536
"""A body up to this many bytes is parsed at once; a larger one is parsed in a thread, and the event loop continues."""

ANY_FILE = b'"file_'
"""Both names below begin like this. A body without it is searched once."""

FILE = b'"file_data"'
"""A body with this name may have a document, whose text takes long to read."""

FILE_ID = b'"file_id"'
"""A body with this name may name files, whose content is read from the store."""

type Complete = Callable[[dict[str, Any], "MemoryShare"], Awaitable[dict[str, Any]]]

ARRIVAL_S = 60.0
"""A body that has not arrived after this many seconds is given up."""

LATE = f"The request's body did not arrive within {ARRIVAL_S:.0f} seconds."
BUSY_S = 1.0
BUSY = "The server is reading as many large requests as it can. Retry after the given delay."


class InputMemory(Struct, kw_only=True):
    """The bytes of all bodies that this process reads at the moment: at most `limit`."""

    limit: int
    used: int = 0

    @contextmanager
    def share(self) -> Generator["MemoryShare"]:
        """Return a share that grows with a body; it is given back when the context is left."""
        share = MemoryShare(self)
        try:
            yield share
        finally:
            self.used -= share.size


class MemoryShare:
    """The bytes of one body."""

    def __init__(self, memory: InputMemory) -> None:
        self.memory = memory
        self.size = 0

    def grow(self, size: int) -> None:
        """Take room for a body that has `size` bytes by now; raises Unavailable where there is none."""
        more = max(size - self.size, 0)
        if self.memory.used + more > self.memory.limit:
            raise Unavailable(BUSY, delay_s=BUSY_S)
        self.memory.used += more
        self.size += more


class BodyReader(Struct, frozen=True, kw_only=True):
    """Reads bodies of at most `limit` bytes, and those that hold the input of a model of at most `input_limit`."""

    limit: int
    input_limit: int
    memory: InputMemory

    async def read[T](self, request: Request, parse: Callable[[dict[str, Any]], T]) -> T:
        """Return what `parse` makes of the JSON object of a body.

        Raises Invalid, and Unavailable where other bodies take the memory.
        """
        return await self.read_within(self.limit, request, parse)

    async def read_input[T](
        self, request: Request, parse: Callable[[dict[str, Any]], T], *, complete: Complete, empty: bool = False
    ) -> T:
        """Return what `parse` makes of a body with input; a body without bytes is one where `empty` is set.

        `complete` puts the files into a body that names some by their ids.
        """
        return await self.read_within(self.input_limit, request, parse, complete=complete, empty=empty)

    async def read_within[T](
        self,
        limit: int,
        request: Request,
        parse: Callable[[dict[str, Any]], T],
        *,
        complete: Complete | None = None,
        empty: bool = False,
    ) -> T:
        with self.memory.share() as share:
            raw = await read_body(request, share, limit=limit)
            if empty and not raw.strip():
                return parse({})
            has_file = ANY_FILE in raw
            if complete and has_file and FILE_ID in raw:
                body = await complete(await asyncio.to_thread(read_object, raw), share)
                return await asyncio.to_thread(parse, body)
            if len(raw) <= SMALL and not (has_file and FILE in raw):
                return parse(read_object(raw))
            return await asyncio.to_thread(lambda: parse(read_object(raw)))


async def read_body(request: Request, share: MemoryShare, *, limit: int) -> bytes:
    """Read and unpack at most `limit` bytes; raises Invalid as soon as the body or its length exceeds the limit."""
    unpacker = unpacker_for(", ".join(request.headers.getlist("content-encoding")))
    size = declared_size(request) or 0
    if size > limit:
        raise too_large(limit)
    share.grow(size)
    body = bytearray()
    try:
        async with asyncio.timeout(ARRIVAL_S):
            async for chunk in request.stream():
                body += unpacker.unpack(chunk, room=limit - len(body)) if unpacker else chunk
                if len(body) > limit:
                    raise too_large(limit)
                share.grow(len(body))
    except TimeoutError:
        raise Invalid(LATE, code="request_timeout") from None
    except ClientDisconnect:
        raise Invalid("The request's body is incomplete: the connection was closed.", code="invalid_json") from None
    if unpacker:
        unpacker.check_complete()
    return bytes(body)


def is_large(request: Request, *, limit: int) -> bool:
    """Return whether a body that will be read is large, or may be: more than `limit` bytes are not read."""
    size = declared_size(request)
    return size is None or "content-encoding" in request.headers or SMALL < size <= limit


def declared_size(request: Request) -> int | None:
    """Return the length of a body by its header; None where there is none."""
    declared = request.headers.get("content-length", "")
    return int(declared[:12]) if declared.isdecimal() else None


def too_large(limit: int) -> Invalid:
    message = (
        f"The request's body is larger than {limit:,} bytes. The limit is set with GANGLION_INPUT_LIMIT for the input "
        "of models, and with GANGLION_BODY_LIMIT for everything else."
    )
    return Invalid(message, code="request_too_large")
