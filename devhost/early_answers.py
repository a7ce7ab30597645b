"""How does an answer survive that the server sent before it had read the whole request, and then closed?

The next write of the request fails then. asyncio would close the connection at once, with the answer unread in it. A
socket of this class discards what will not be read; its reader finds the answer, and then the end of the connection.
"""

import socket
from collections.abc import Buffer, Iterable, Sequence
from typing import Any, override


class HalfOpenSocket(socket.socket):
    """A socket that is only ended by what it reads."""

    @override
    def send(self, data: Buffer, flags: int = 0, /) -> int:
        try:
            return super().send(data, flags)
        except (BrokenPipeError, ConnectionResetError):
            return memoryview(data).nbytes

    @override
    def sendmsg(self, buffers: Iterable[Buffer], /, *options: Any) -> int:
        parts = list(buffers)
        try:
            return super().sendmsg(parts, *options)
        except (BrokenPipeError, ConnectionResetError):
            return sum(memoryview(part).nbytes for part in parts)


def half_open_socket(address: Sequence[Any]) -> socket.socket:
    """Return the socket for a connection of aiohttp's connector; `address` is one result of `getaddrinfo`."""
    return HalfOpenSocket(*address[:3])
