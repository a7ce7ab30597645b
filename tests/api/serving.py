"""How is the API reached over a real socket, as the host's worker serves it?"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import uvicorn

from tests.api.harness import Api


@contextlib.asynccontextmanager
async def served(one: Api) -> AsyncGenerator[str]:
    """Serve the API on a free port, as the worker does; yield its address."""
    server = uvicorn.Server(uvicorn.Config(one.app(), host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
