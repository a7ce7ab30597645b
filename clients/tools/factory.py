"""Which connector calls the tools of configured servers?"""

from collections.abc import Sequence
from importlib.util import find_spec

from clients.clock import Clock
from clients.sources.egress import pinned_client
from clients.sources.tokens import IdentityTokens
from clients.tools.http_tool import HttpTool
from clients.tools.mcp.mcp_tool import McpTool
from clients.tools.port import AS_APP, Credential, ToolAnswer, ToolRequest
from domain.tools.catalog import ServerKind, ToolServer, ToolServers
from domain.tools.listings.listing import ToolListing

LIBRARY_MISSING = (
    "tools.toml: the servers {} speak MCP, but the library mcp is not installed; install requirements-mcp.txt"
    " (make package MCP=1), or remove them"
)


class ToolClients:
    """Calls the tools of servers of both kinds."""

    def __init__(self, http: HttpTool, mcp: McpTool) -> None:
        self.http = http
        self.mcp = mcp

    async def call(self, request: ToolRequest) -> ToolAnswer:
        client = self.mcp if request.server.kind is ServerKind.MCP else self.http
        return await client.call(request)

    async def listing(self, server: ToolServer, credential: Credential = AS_APP) -> ToolListing:
        return await self.mcp.listing(server, credential)

    async def close(self) -> None:
        """Close the sessions with servers."""
        await self.mcp.close()


def build_tools(clock: Clock, *, loopback: bool, client_id: str | None) -> ToolClients:
    """Return the connector. `loopback` allows servers on this machine, `client_id` names a user-assigned identity.

    Connections are not reused, so that each one goes to an address that was checked for it.
    """
    client = pinned_client(loopback=loopback)
    tokens = IdentityTokens(clock, client_id=client_id)
    return ToolClients(HttpTool(client, tokens), McpTool(client, tokens, clock))


def missing_library(servers: ToolServers) -> Sequence[str]:
    """Return the problem of servers that speak MCP where its library is not installed."""
    labels = [label for label, server in servers.known.items() if server.kind is ServerKind.MCP]
    return [LIBRARY_MISSING.format(", ".join(labels))] if labels and find_spec("mcp") is None else []
