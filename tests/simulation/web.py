"""How does a request reach the real web application in the same process, part by part, and how does it end early?"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

DONE = "data: [DONE]"


class ConnectionLostError(Exception):
    """The caller got no answer, or not all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": self.query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in self.headers.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
        }


@dataclass(slots=True)
class Exchange:
    """One request, and what has come of its answer. `hung_up` is set when the caller has gone."""

    request: WebRequest
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)
    is_asked: bool = False
    is_lost: bool = False

    async def run(self, app: ASGIApp) -> None:
        await app(self.request.scope(), self.receive, self.send)

    async def receive(self) -> Message:
        if not self.is_asked:
            self.is_asked = True
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the answer, unless the connection is lost."""
        await asyncio.sleep(0)
        if self.is_lost or self.hung_up.is_set():
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def blocks(self) -> list[str]:
        """The complete events of a stream, and its end."""
        parts = self.body.decode(errors="ignore").split("\n\n")[:-1]
        return [part for part in parts if not part.startswith(":")]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(block.partition("\ndata: ")[2]) for block in self.blocks if block != DONE]

    @property
    def is_whole(self) -> bool:
        return DONE in self.blocks
