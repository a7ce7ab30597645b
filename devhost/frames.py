"""How do the host and its worker exchange messages over their pipe?

A frame has two lengths (unsigned, 4 bytes, network order), a JSON header and a body of bytes.
"""

import asyncio
import contextlib
import json
import os
import struct
from collections.abc import Callable
from typing import Any, override

LENGTHS = struct.Struct("!II")
READ_SIZE = 64 * 1024
FLUSH_POLL_S = 0.001

type Header = dict[str, Any]


def encode(header: Header, body: bytes = b"") -> bytes:
    head = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((LENGTHS.pack(len(head), len(body)), head, body))


class Pipe(asyncio.Protocol):
    """Both ends use this protocol: `on_frame` is called for each message, `on_end` once when the other end closes."""

    def __init__(self, on_frame: Callable[[Header, bytes], None], on_end: Callable[[], None]) -> None:
        self.on_frame = on_frame
        self.on_end = on_end
        self.received = bytearray()
        self.transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.receive_rest()
        self.transport = None
        self.on_end()

    def receive_rest(self) -> None:
        """Take what the other end sent before it ended: a failed write closes the pipe with that unread."""
        channel = self.transport.get_extra_info("socket") if self.transport is not None else None
        if channel is None:
            return
        with contextlib.suppress(OSError):
            while data := os.read(channel.fileno(), READ_SIZE):
                self.data_received(data)

    @override
    def data_received(self, data: bytes) -> None:
        self.received += data
        start = 0
        while (frame := self.frame_at(start)) is not None:
            header, body, start = frame
            self.on_frame(header, body)
        del self.received[:start]

    def frame_at(self, start: int) -> tuple[Header, bytes, int] | None:
        if len(self.received) - start < LENGTHS.size:
            return None
        head, body = LENGTHS.unpack_from(self.received, start)
        middle = start + LENGTHS.size + head
        end = middle + body
        if len(self.received) < end:
            return None
        header = json.loads(self.received[start + LENGTHS.size : middle])
        return header, bytes(self.received[middle:end]), end

    def send(self, header: Header, body: bytes = b"") -> None:
        if self.transport is not None:
            self.transport.write(encode(header, body))

    async def flushed(self) -> None:
        """Wait until the operating system has taken all messages."""
        while self.transport is not None and self.transport.get_write_buffer_size():  # noqa: ASYNC110 - asyncio has no event for it
            await asyncio.sleep(FLUSH_POLL_S)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
