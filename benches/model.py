"""Which model makes delays visible? One that says when each of its words left it."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

WORD_S = 0.02
WORDS = 100


def frame(delta: dict[str, str], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode()


async def complete(request: web.Request) -> web.StreamResponse:
    """Stream words, each the time (seconds since the epoch) at which it was written."""
    asked = await request.json()
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for _ in range(min(asked.get("max_tokens") or WORDS, WORDS)):
        await response.write(frame({"content": f"{time.time():.6f} "}))  # noqa: TID251 - the time is the measurement
        await asyncio.sleep(WORD_S)
    await response.write(frame({}, finish="stop"))
    usage = {"prompt_tokens": 10, "completion_tokens": WORDS}
    await response.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode())
    return response


@asynccontextmanager
async def serving() -> AsyncGenerator[str]:
    """Serve the model on a free port of this machine; yield the base URL."""
    application = web.Application()
    application.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
