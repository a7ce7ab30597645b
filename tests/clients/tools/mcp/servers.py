"""How do tests reach a server of the official MCP SDK? It runs in the test's own loop, on a free port."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clients.tools.factory import ToolClients, build_tools
from domain.config.tools_toml import tools_from_toml
from domain.tools.catalog import ToolServer, ToolServers
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.listening import listening

if TYPE_CHECKING:
    from standins.mcp_tools.server import McpShop

FILE = """
[servers.shop]
kind = "mcp"
url = "{url}"

[servers.shop.tools.find_order]
effect = "read"

[servers.shop.tools.refund_order]
effect = "write"
idempotency = "argument:key"
approval = "never"

[servers.shop.tools.send_note]
effect = "write"
approval = "never"

[servers.shop.tools.wait]
effect = "read"
timeout_s = 30

[servers.shop.tools.picture]
effect = "read"

[servers.shop.tools.fail]
effect = "read"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A shop, its address, and what the product knows of it."""

    shop: "McpShop"
    url: str
    servers: ToolServers
    tools: ToolClients
    clock: FakeClock

    @property
    def server(self) -> ToolServer:
        return self.servers.known["shop"]

    def sent(self, method: str) -> list[str]:
        """Return the HTTP methods of the requests that had this method of MCP."""
        return [each["http"] for each in self.shop.faults.requests if each["body"].get("method") == method]


@contextlib.asynccontextmanager
async def served(*, era: str = "new", file: str = FILE) -> AsyncGenerator[Served]:
    from standins.mcp_tools.server import McpShop  # noqa: PLC0415 - the SDK takes half a second to import

    shop, clock = McpShop(is_old=era == "old"), FakeClock()
    tools = build_tools(clock, loopback=True, client_id=None)
    async with listening(shop.application()) as url:
        servers = tools_from_toml(file.format(url=url), {}, on_azure=False)
        try:
            yield Served(shop=shop, url=url, servers=servers, tools=tools, clock=clock)
        finally:
            await tools.close()
