"""How is an aiohttp application served on a free port of this machine?"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(app: web.Application, *, cancels: bool = False, grace_s: float = 0.0) -> AsyncGenerator[str]:
    """Serve an application; yield its address. `cancels`: the end of a connection cancels its handler.

    `grace_s` is how long open requests may go on at the end.
    """
    runner = web.AppRunner(app, handler_cancellation=cancels, shutdown_timeout=grace_s, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def handled_by(handler: Handler) -> web.Application:
    """Return an application in which one handler answers every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app
