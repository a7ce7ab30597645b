"""How does a model make delays visible? Each of its words is the time at which it was sent.

`python -m benches.stamping_model --gap-s 0.2 --words 100` serves it in its own process.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin

WORD_S = 0.02
WORDS = 100


def frame(delta: dict[str, str], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class StampingModel:
    """Sends `words` words, or fewer if the request limits them, `gap_s` seconds apart."""

    gap_s: float = WORD_S
    words: int = WORDS

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self.complete)
        return application

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Stream words, each the time (seconds since the epoch) at which it was written."""
        body = await request.json()
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(1, min(body.get("max_tokens") or self.words, self.words) + 1):
            await response.write(frame({"content": f"{time.time():.6f} "}))  # noqa: TID251 - this time is the measurement
            await asyncio.sleep(max(0.0, started + number * self.gap_s - loop.time()))
        await response.write(frame({}, finish="stop"))
        usage = {"prompt_tokens": 10, "completion_tokens": self.words}
        await response.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode())
        return response


@asynccontextmanager
async def serving() -> AsyncGenerator[str]:
    """Serve the model on a free port of this machine; yield the base URL."""
    runner = web.AppRunner(StampingModel().application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.stamping_model")
    parser.add_argument("--gap-s", type=float, default=WORD_S)
    parser.add_argument("--words", type=int, default=WORDS)
    options = parser.parse_args()
    end_with_stdin()
    asyncio.run(serve(StampingModel(gap_s=options.gap_s, words=options.words).application(), 0))


if __name__ == "__main__":
    main()
