"""How does a stand-in serve HTTP on this machine only, print its port, and stop?"""

import asyncio
import json
import signal

from aiohttp import web

HOST = "127.0.0.1"


async def serve(app: web.Application, port: int) -> None:
    """Serves until SIGTERM or SIGINT; cancels a handler at once when its client disconnects."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    print_ready(runner.addresses[0][1])
    await wait_for_stop_signal()
    await runner.cleanup()


def print_ready(port: int) -> None:
    print(json.dumps({"ready": True, "port": port}), flush=True)


async def wait_for_stop_signal() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
