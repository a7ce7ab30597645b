"""Which tools does a server offer now? Those of an MCP server are listed by it, and pinned."""

from copy import replace

from msgspec import Struct

from clients.tools.port import AS_APP, Credential, ToolLister
from domain.tools.catalog import ServerKind, ToolServer
from domain.tools.listings.listing import ListedServer, ListedTool, fingerprints, listed_server, usable_tools
from state.tools.pins import Pins, ToolPins


class ToolReport(Struct, frozen=True, kw_only=True):
    """The usable tools of a server, the accepted fingerprints by name, and why there is no list."""

    tools: tuple[ListedTool, ...]
    pins: Pins
    problem: str


class ToolDirectory:
    """Resolves the tools of servers."""

    def __init__(self, lister: ToolLister, pins: ToolPins) -> None:
        self.lister = lister
        self.pins = pins

    async def listed(self, server: ToolServer, credential: Credential = AS_APP) -> ListedServer:
        """Return a server with the tools that may be offered. A server that gives no list has none, and a problem."""
        if server.kind is not ServerKind.MCP:
            return ListedServer(server=server)
        listing = await self.lister.listing(server, credential)
        if listing.problem:
            return ListedServer(server=replace(server, tools={}), problem=listing.problem)
        seen = fingerprints(usable_tools(server, listing).values())
        pins = await self.pins.pin_new(server.label, seen)
        return listed_server(server, listing, pins)

    async def report(self, server: ToolServer, credential: Credential) -> ToolReport:
        """Return what an MCP server lists, and what of it is accepted."""
        listing = await self.lister.listing(server, credential)
        pins = await self.pins.known(server.label)
        return ToolReport(tools=tuple(usable_tools(server, listing).values()), pins=pins, problem=listing.problem)

    async def accept(self, server: ToolServer, fingerprint: str, credential: Credential) -> ListedTool | None:
        """Accept a tool as its server lists it now, and return it; None where it lists no tool with this hash."""
        if server.kind is not ServerKind.MCP:
            return None
        usable = usable_tools(server, await self.lister.listing(server, credential)).values()
        tool = next((each for each in usable if each.fingerprint == fingerprint), None)
        if tool:
            await self.pins.accept(server.label, {tool.name: tool.fingerprint})
        return tool
