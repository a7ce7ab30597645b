"""How does the shop misbehave on purpose?

A fault has one of these members: `delay_s` (after the effect), `reset` (the connection is cut after the effect),
`status`, `redirect` (an address), `bytes` (an answer of this size), `text` (an answer that is no JSON).
`times` limits it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from standins.json_values import Json

LOOK_S = 0.02
"""How often a delayed answer checks whether its caller has hung up."""


class Faults:
    """The faults by the path of the request; each applies to requests that begin with its path."""

    def __init__(self) -> None:
        self.by_path: dict[str, Json] = {}

    def set(self, path: str, fault: Json) -> None:
        self.by_path[path] = fault

    def of(self, path: str) -> Json:
        """Return the fault of a request, and count it."""
        none: Json = {}
        found = next((fault for start, fault in self.by_path.items() if path.startswith(start)), none)
        if found.get("times") is None:
            return found
        if found["times"] <= 0:
            return {}
        found["times"] -= 1
        return found


async def answer(request: web.Request, fault: Json, act: Callable[[], Awaitable[web.Response]]) -> web.StreamResponse:
    """Have the effect, and answer with the fault."""
    if "status" in fault:
        return web.json_response({"error": "as planned"}, status=int(fault["status"]))
    if "redirect" in fault:
        raise web.HTTPTemporaryRedirect(str(fault["redirect"]))
    response = await act()
    await delay(request, float(fault.get("delay_s", 0)))
    if "reset" in fault:
        reset(request)
    if "bytes" in fault:
        return web.json_response({"filler": "x" * int(fault["bytes"])})
    return web.Response(text=str(fault["text"])) if "text" in fault else response


async def delay(request: web.Request, seconds: float) -> None:
    """Wait so long, or until the caller has hung up."""
    for _ in range(round(seconds / LOOK_S)):
        if request.transport is None:
            return
        await asyncio.sleep(LOOK_S)


def reset(request: web.Request) -> None:
    transport: Any = request.transport
    if transport is not None:
        transport.abort()
