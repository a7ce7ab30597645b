"""How does a server of tools behave in tests?"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clients.tools.port import AS_APP, Credential, ToolAnswer, ToolError, ToolRequest
from domain.config.tools_toml import tools_from_toml
from domain.tools.catalog import ToolServer, ToolServers
from domain.tools.listings.listing import ToolListing

FILE = """
[servers.shop]
kind = "http"
url = "http://127.0.0.1:1"
trusted = true

[servers.shop.tools.find_order]
description = "Finds an order."
method = "GET"
path = "/v1/orders/{number}"
effect = "read"
arguments.number = { in = "path" }

[servers.shop.tools.refund_order]
description = "Refunds an order."
method = "POST"
path = "/v1/refunds"
effect = "write"
idempotency = "header:Idempotency-Key"
approval = "never"
arguments.number = {}

[servers.shop.tools.send_note]
description = "Sends a note."
method = "POST"
path = "/v1/notes"
effect = "write"
approval = "never"
arguments.text = {}

[servers.shop.tools.close_shop]
description = "Closes the shop."
method = "POST"
path = "/v1/closing"
effect = "write"
"""


def caller_server(name: str, kind: str, *, url: str = "{url}", scope: str = "api://tickets/.default") -> str:
    """Return the table of a server that is called with the rights of its caller; its tools follow."""
    return f'[servers.{name}]\nkind = "{kind}"\nurl = "{url}"\nauth = "obo"\nscope = "{scope}"\n'


def shop(text: str = FILE) -> ToolServers:
    return tools_from_toml(text, {}, on_azure=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCall:
    tool: str
    arguments: Mapping[str, Any]
    key: str
    grant: str = field(default="", repr=False, compare=False)


type Reply = ToolAnswer | ToolError | asyncio.Event


@dataclass(slots=True)
class FakeTools:
    """Answers each call of a tool with the next of its replies, the last one again and again; waits for an Event.

    `open` is the number of requests that have no answer yet.
    """

    replies: dict[str, list[Reply]] = field(default_factory=dict[str, list[Reply]])
    sent: list[SentCall] = field(default_factory=list[SentCall])
    open: int = 0
    listings: dict[str, ToolListing] = field(default_factory=dict[str, ToolListing])
    asked: list[tuple[str, Credential]] = field(default_factory=list[tuple[str, Credential]])

    async def call(self, request: ToolRequest) -> ToolAnswer:
        await asyncio.sleep(0)
        self.sent.append(
            SentCall(tool=request.tool.name, arguments=request.arguments, key=request.key, grant=request.grant)
        )
        replies = self.replies.get(request.tool.name, [])
        reply = replies.pop(0) if len(replies) > 1 else (replies[0] if replies else says("done"))
        if isinstance(reply, asyncio.Event):
            self.open += 1
            try:
                await reply.wait()
            finally:
                self.open -= 1
            return says("done")
        if isinstance(reply, ToolError):
            raise reply
        return reply

    async def listing(self, server: ToolServer, credential: Credential = AS_APP) -> ToolListing:
        await asyncio.sleep(0)
        self.asked.append((server.label, credential))
        return self.listings.get(server.label, ToolListing(problem="The server cannot be reached."))


def says(text: str, status: int = 200) -> ToolAnswer:
    return ToolAnswer(status=status, text=text)
