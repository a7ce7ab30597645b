"""How does the MCP server misbehave on purpose, below the SDK?

A fault of the calls of tools has one of these members: `delay_s` (after the effect), `status`, `redirect` (an address),
`text` (an answer that is no JSON-RPC), `type` (an answer of this media type), `bytes` (an answer of this size),
`other_id` (an answer to another request), `ends` (an event stream without an answer), `pings` (the server asks back,
does not know the session of the answer, and breaks off). `times` limits it. `forget` makes the server forget its
sessions, and what `silent` lists (methods of MCP) gets no answer at all.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from standins.json_values import Json, json_object

CALL = "tools/call"
DISCOVER = "server/discover"
METHOD_NOT_FOUND = -32601


class McpFaults:
    """The fault of the next calls, and every request that arrived. An old server knows no `server/discover`."""

    def __init__(self, *, is_old: bool) -> None:
        self.is_old = is_old
        self.fault: Json = {}
        self.forgets = False
        self.requests: list[Json] = []
        self.closed: list[str] = []
        self.answered = asyncio.Event()

    @property
    def delay_s(self) -> float:
        return float(self.fault.get("delay_s", 0))

    def set(self, fault: Json) -> None:
        self.fault = fault
        self.forgets = bool(fault.get("forget"))

    def next(self) -> Json:
        """Return the fault of a call, and count it."""
        if self.fault.get("times") is None:
            return self.fault
        if self.fault["times"] <= 0:
            return {}
        self.fault["times"] -= 1
        return self.fault

    def answer(self, body: Json, session: str) -> Response | None:
        """Return the answer below the SDK; None where the SDK answers."""
        method = body.get("method")
        if method in self.fault.get("silent", ()):
            return Silence(str(method), self.closed)
        if method is None and "pings" in self.fault:
            self.answered.set()
            return Response(status_code=404)
        if method == CALL and "pings" in self.fault:
            return StreamingResponse(self.asking_back(), media_type="text/event-stream")
        if self.is_old and method == DISCOVER:
            error = {"code": METHOD_NOT_FOUND, "message": "Method not found"}
            return JSONResponse({"jsonrpc": "2.0", "id": body.get("id"), "error": error}, status_code=400)
        if self.forgets and session:
            self.forgets = False
            return JSONResponse({"error": "session not found"}, status_code=404)
        return faulty_answer(self.next(), body) if method == CALL else None

    async def asking_back(self) -> AsyncIterator[str]:
        ping = {"jsonrpc": "2.0", "id": "asked", "method": "ping"}
        yield f"event: message\ndata: {json.dumps(ping)}\n\n"
        await self.answered.wait()


class Silence(Response):
    """No answer: it lasts until the client closes the connection, which is noted in `closed`."""

    def __init__(self, method: str, closed: list[str]) -> None:
        super().__init__()
        self.method, self.closed = method, closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - its form
        await receive()
        self.closed.append(self.method)


def faulty_answer(fault: Json, body: Json) -> Response | None:
    for name, answer in ANSWERS.items():
        if name in fault:
            return answer(fault[name], body.get("id"))
    return None


def too_long(size: Any, request: Any) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": request, "result": {"filler": "x" * int(size)}})


ANSWERS: Mapping[str, Callable[[Any, Any], Response]] = {
    "status": lambda status, _: JSONResponse({"error": "as planned"}, status_code=int(status)),
    "redirect": lambda to, _: Response(status_code=307, headers={"location": str(to)}),
    "text": lambda text, _: PlainTextResponse(str(text)),
    "type": lambda media_type, _: Response("hello", media_type=str(media_type)),
    "bytes": too_long,
    "ends": lambda _, __: Response(": nothing\n\n", media_type="text/event-stream"),
    "other_id": lambda _, __: JSONResponse({"jsonrpc": "2.0", "id": 4711, "result": {"content": []}}),
}
"""The answer of each fault, from its value and the id of the request."""


class FaultyApp:
    """The application of the SDK behind its faults."""

    def __init__(self, app: Starlette, faults: McpFaults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/__"):
            await self.app(scope, receive, send)
            return
        content = await read_body(receive)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        body = parsed(content)
        self.faults.requests.append({"http": scope["method"], "headers": headers, "body": body})
        answer = self.faults.answer(body, headers.get("mcp-session-id", ""))
        if answer:
            await answer(scope, receive, send)
        else:
            await self.app(scope, replayed(content, receive), send)


async def read_body(receive: Receive) -> bytes:
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    return content


def parsed(content: bytes) -> Json:
    try:
        return json_object(json.loads(content)) or {}
    except ValueError:
        return {}


def replayed(content: bytes, receive: Receive) -> Receive:
    """Return the channel of a request whose body has been read."""
    pending: list[dict[str, Any]] = [{"type": "http.request", "body": content, "more_body": False}]

    async def again() -> Any:
        return pending.pop() if pending else await receive()

    return again
