"""Which session calls a tool of an MCP server, and how long is a server's list of tools used?

The MCP library is optional (requirements-mcp.txt) and takes a second or two to import. It is imported in a thread, at
the first use.
"""

import asyncio
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from clients.clock import Clock
from clients.single_flight import SingleFlight
from clients.sources.egress import PinnedClient
from clients.sources.port import SourceTokens
from clients.tools.credentials import server_credentials
from clients.tools.port import CallFailure, ToolAnswer, ToolError, ToolRequest
from domain.tools.catalog import ToolServer
from domain.tools.listing import ToolListing

if TYPE_CHECKING:
    from clients.tools.mcp.session import McpSession

LIST_S: Final = 10.0
"""How long a server may take to open a session and to list its tools; the caller of the API waits for it."""

FAILED_S: Final = 5.0
"""A server that gave no list is asked again after so many seconds."""

LATE: Final = f"The server did not list its tools within {LIST_S:g} s."
LOST: Final = "The server does not accept a session."
type Listings = SingleFlight[ToolListing]


class McpTool:
    """Calls tools of MCP servers. It keeps one session and one list of each server, for this process."""

    def __init__(self, client: PinnedClient, tokens: SourceTokens, clock: Clock) -> None:
        self.pinned = client
        self.tokens = tokens
        self.clock = clock
        self.sessions: dict[str, McpSession] = {}
        self.retired: set[McpSession] = set()
        self.asking: dict[str, Listings] = {}
        self.known: dict[str, tuple[ToolListing, float]] = {}

    async def call(self, request: ToolRequest) -> ToolAnswer:
        """Call a tool. A server that has lost the session has not run the call, which goes to a new session, once."""
        session = await self.session(request.server)
        from clients.tools.mcp.session import SessionLostError  # noqa: PLC0415 - see above

        try:
            return await session.call(request)
        except SessionLostError:
            self.retire(session)
        session = await self.session(request.server)
        try:
            await session.listing()
            return await session.call(request)
        except SessionLostError:
            raise ToolError(CallFailure.NOT_SENT, LOST) from None

    async def listing(self, server: ToolServer) -> ToolListing:
        """Return a server's tools, as it listed them less than its own time ago."""
        listing, until = self.known.get(server.label, (None, 0.0))
        if listing and self.clock.now() < until:
            return listing
        return await self.asking.setdefault(server.label, SingleFlight(partial(self.ask, server))).result()

    async def ask(self, server: ToolServer) -> ToolListing:
        try:
            async with asyncio.timeout(LIST_S):
                listing = await self.fresh_listing(server)
        except TimeoutError:
            listing = ToolListing(problem=LATE, fresh_s=FAILED_S)
        except ToolError as problem:
            listing = ToolListing(problem=str(problem), fresh_s=FAILED_S)
        self.known[server.label] = (listing, self.clock.now() + listing.fresh_s)
        return listing

    async def fresh_listing(self, server: ToolServer) -> ToolListing:
        session = await self.session(server)
        from clients.tools.mcp.session import SessionLostError  # noqa: PLC0415 - see above

        try:
            return await session.listing()
        except SessionLostError:
            self.retire(session)
        try:
            return await (await self.session(server)).listing()
        except SessionLostError:
            raise ToolError(CallFailure.NO_ANSWER, LOST) from None

    async def session(self, server: ToolServer) -> "McpSession":
        """Return the open session with a server. Raises ToolError where it can't be opened."""
        await asyncio.to_thread(import_library)
        session = self.sessions.get(server.label)
        if session is None or session.has_ended:
            session = self.sessions[server.label] = self.new_session(server)
        try:
            await session.client()
        except ToolError:
            if self.sessions.get(server.label) is session:
                del self.sessions[server.label]
            raise
        return session

    def new_session(self, server: ToolServer) -> "McpSession":
        from clients.tools.mcp.session import McpSession  # noqa: PLC0415 - see above
        from clients.tools.mcp.transport import EgressTransport  # noqa: PLC0415 - see above

        credentials = partial(server_credentials, self.tokens, server)
        return McpSession(server, EgressTransport(server, self.pinned, credentials))

    def retire(self, session: "McpSession") -> None:
        """Use a session no more; the calls of other turns that are under way in it go on."""
        if self.sessions.get(session.server.label) is session:
            del self.sessions[session.server.label]
        self.retired.add(session)
        session.task.add_done_callback(lambda _: self.retired.discard(session))
        session.retire()

    async def close(self) -> None:
        for session in (*self.sessions.values(), *self.retired):
            await session.close()
        self.sessions.clear()


def import_library() -> None:
    """Import the library, which takes a moment the first time."""
    import_module("clients.tools.mcp.session")
