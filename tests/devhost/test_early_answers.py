"""Does an answer arrive that the app's server sent before it closed the connection on an unread request?"""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientError, ClientSession

from devhost.http.forwarding import upstream_session
from devhost.protocol_v1.http_calls import http_session

ANSWER = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo long"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
CLIENTS = {"proxy": upstream_session, "durable HTTP": http_session}


@dataclass(kw_only=True)
class HastyServer:
    """Sends `answer` when it has the headers, and closes its connection at once."""

    answer: bytes
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/"

    def serve_one(self) -> None:
        self.listener.settimeout(10)
        connection, _ = self.listener.accept()
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            connection.sendall(self.answer)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self.closed.set()

    async def body(self) -> AsyncIterator[bytes]:
        """The headers are sent with the first chunk. The event loop then stands still until the server has closed."""
        yield b""
        assert self.closed.wait(10)
        for _ in range(40):
            yield b"x" * 100_000
            await asyncio.sleep(0)


@contextmanager
def serving(answer: bytes) -> Generator[HastyServer]:
    server = HastyServer(answer=answer)
    thread = threading.Thread(target=server.serve_one)
    thread.start()
    try:
        yield server
    finally:
        thread.join(10)
        server.listener.close()


async def answer_of(session: ClientSession, server: HastyServer) -> tuple[int, bytes]:
    async with session.post(server.url, data=server.body(), trace_request_ctx=lambda: None) as answer:
        return answer.status, await answer.read()


@pytest.mark.parametrize("new_session", CLIENTS.values(), ids=CLIENTS)
async def test_the_answer_arrives_although_the_next_write_fails(new_session: Callable[[], ClientSession]) -> None:
    with serving(ANSWER) as server:
        async with new_session() as session, asyncio.timeout(60):
            assert await answer_of(session, server) == (413, b"too long")


@pytest.mark.parametrize("new_session", CLIENTS.values(), ids=CLIENTS)
async def test_a_failed_write_without_an_answer_is_an_error_and_no_wait(
    new_session: Callable[[], ClientSession],
) -> None:
    with serving(b"") as server:
        async with new_session() as session, asyncio.timeout(60):
            with pytest.raises(ClientError):
                await answer_of(session, server)
