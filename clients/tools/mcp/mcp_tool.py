"""Which session calls a tool of an MCP server, and how long is a server's list of tools used?

The MCP library is optional (requirements-mcp.txt) and takes a second or two to import. It is imported in a thread, at
the first use.
"""

import asyncio
from functools import partial
from importlib import import_module
from typing import Final

from clients.clock import Clock
from clients.single_flight import SingleFlight
from clients.sources.egress import PinnedClient
from clients.sources.port import SourceTokens
from clients.tools.credentials import GRANT_EXPIRED
from clients.tools.mcp.sessions import Sessions
from clients.tools.port import AS_APP, CallFailure, Credential, ToolAnswer, ToolError, ToolRequest
from domain.tools.catalog import ServerAuth, ToolServer
from domain.tools.listings.listing import ToolListing

LIST_S: Final = 10.0
"""How long a server may take to open a session and to list its tools; the caller of the API waits for it."""

FAILED_S: Final = 5.0
"""A server that gave no list is asked again after so many seconds."""

MOST_LISTS: Final = 32
"""So many lists that servers gave to single callers are kept; the oldest one gives way."""

LATE: Final = f"The server did not list its tools within {LIST_S:g} s."
LOST: Final = "The server does not accept a session."
type Listings = SingleFlight[ToolListing]
type ListKey = tuple[str, str]
"""The server and the holder of the credential, empty for a list that everybody may read."""


class McpTool:
    """Calls tools of MCP servers. It keeps sessions and lists, for this process."""

    def __init__(self, client: PinnedClient, tokens: SourceTokens, clock: Clock) -> None:
        self.pinned = client
        self.clock = clock
        self.sessions = Sessions(client, tokens)
        self.asking: dict[ListKey, Listings] = {}
        self.known: dict[ListKey, tuple[ToolListing, float]] = {}

    async def call(self, request: ToolRequest) -> ToolAnswer:
        """Call a tool. A server that has lost the session has not run the call, which goes to a new session, once."""
        await self.prepare(request.server, request.credential)
        from clients.tools.mcp.session import SessionLostError  # noqa: PLC0415 - see above

        async with self.sessions.using(request.server, request.credential) as session:
            try:
                return await session.call(request)
            except SessionLostError:
                self.sessions.retire(session)
        async with self.sessions.using(request.server, request.credential) as session:
            try:
                await session.listing()
                return await session.call(request)
            except SessionLostError:
                raise ToolError(CallFailure.NOT_SENT, LOST) from None

    async def listing(self, server: ToolServer, credential: Credential = AS_APP) -> ToolListing:
        """Return a server's tools, as it listed them less than its own time ago.

        A caller sees the list that the server gave it, or one that the server gives everybody.
        """
        for holder in (credential.holder, ""):
            listing, until = self.known.get((server.label, holder), (None, 0.0))
            if listing and self.clock.now() < until:
                return listing
        key = (server.label, credential.holder)
        return await self.asking.setdefault(key, SingleFlight(partial(self.ask, server, credential))).result()

    async def ask(self, server: ToolServer, credential: Credential) -> ToolListing:
        try:
            async with asyncio.timeout(LIST_S):
                listing = await self.fresh_listing(server, credential)
        except TimeoutError:
            listing = ToolListing(problem=LATE, fresh_s=FAILED_S)
        except ToolError as problem:
            listing = ToolListing(problem=str(problem), fresh_s=FAILED_S)
        finally:
            self.asking.pop((server.label, credential.holder), None)
        self.keep(server, credential, listing)
        return listing

    def keep(self, server: ToolServer, credential: Credential, listing: ToolListing) -> None:
        key = (server.label, "" if listing.is_public else credential.holder)
        self.known.pop(key, None)
        self.known[key] = (listing, self.clock.now() + listing.fresh_s)
        of_callers = [each for each in self.known if each[1]]
        for each in of_callers[:-MOST_LISTS]:
            del self.known[each]

    async def fresh_listing(self, server: ToolServer, credential: Credential) -> ToolListing:
        await self.prepare(server, credential)
        from clients.tools.mcp.session import SessionLostError  # noqa: PLC0415 - see above

        async with self.sessions.using(server, credential) as session:
            try:
                return await session.listing()
            except SessionLostError:
                self.sessions.retire(session)
        async with self.sessions.using(server, credential) as session:
            try:
                return await session.listing()
            except SessionLostError:
                raise ToolError(CallFailure.NO_ANSWER, LOST) from None

    async def prepare(self, server: ToolServer, credential: Credential) -> None:
        """Import the library. Raises ToolError where a server wants a token that the caller does not have any more."""
        if server.auth is ServerAuth.OBO and not credential.token:
            raise ToolError(CallFailure.NOT_SENT, GRANT_EXPIRED)
        await asyncio.to_thread(import_library)

    async def close(self) -> None:
        await self.sessions.close()


def import_library() -> None:
    """Import the library, which takes a moment the first time."""
    import_module("clients.tools.mcp.session")
