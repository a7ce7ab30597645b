"""How is an ASGI application served on a free port of this machine, and ended at once?"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, override

import uvicorn


class Listener(uvicorn.Server):
    """Ends when it is told to. uvicorn looks ten times a second, and then waits a tenth for its connections."""

    def __init__(self, app: Any) -> None:
        super().__init__(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
        self.listening = asyncio.Event()
        self.ending = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"

    @override
    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.listening.set()
        await self.ending.wait()

    @override
    async def shutdown(self, sockets: Any = None) -> None:
        """Let requests end that still run, except those of readers that never hang up."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def listening(app: Any) -> AsyncGenerator[str]:
    """Serve an application; yield its address."""
    server = Listener(app)
    running = asyncio.create_task(server.serve())
    await server.listening.wait()
    try:
        yield server.url
    finally:
        server.ending.set()
        await running
