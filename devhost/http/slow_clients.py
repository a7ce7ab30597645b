"""How long may a client take to send a request?

Like the real host, this one gives the headers 30 s, and a body 30 s and one more second for every 240 bytes.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

HEADERS_S = 30.0
BODY_S = 30.0
BYTES_PER_S = 240
LOOKS = 6
"""How often connections are looked at while headers may arrive."""


class BodyTooLateError(Exception):
    """The body of a request arrives too slowly."""


class SlowClients:
    """Closes connections that bring no whole headers; aiohttp closes those that bring no second request."""

    def __init__(self, headers_s: float = HEADERS_S) -> None:
        self.headers_s = headers_s
        self.heard: set[asyncio.BaseProtocol] = set()

    def add_to(self, application: web.Application) -> None:
        @web.middleware
        async def hear(request: web.Request, handler: Any) -> web.StreamResponse:
            self.heard.add(request.protocol)
            return await handler(request)

        application.middlewares.insert(0, hear)

    async def watch(self, server: web.Server) -> None:
        """Look at the server's connections for ever."""
        silent: dict[web.RequestHandler, int] = {}
        while True:
            await asyncio.sleep(self.headers_s / LOOKS)
            self.heard.intersection_update(server.connections)
            silent = {one: silent.get(one, 0) + 1 for one in server.connections if one not in self.heard}
            for connection, looks in silent.items():
                if looks > LOOKS:
                    connection.force_close()


async def timely_chunks(request: web.Request, body_s: float = BODY_S) -> AsyncIterator[bytes]:
    """Yield the body of a request. Raises BodyTooLateError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + body_s
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await request.content.readany()
        except TimeoutError:
            raise BodyTooLateError from None
        if not chunk:
            return
        deadline += len(chunk) / BYTES_PER_S
        yield chunk
