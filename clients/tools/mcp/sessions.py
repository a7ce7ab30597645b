"""Which sessions with MCP servers are open, and for whom?

The app has one session with each server that it calls in its own name. A server that is called in its callers' names
has one for each of their tokens: it may remember in a session who has opened it.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from clients.sources.egress import PinnedClient
from clients.sources.port import SourceTokens
from clients.tools.credentials import server_credentials
from clients.tools.port import Credential, ToolError
from domain.tools.catalog import ToolServer

if TYPE_CHECKING:
    from clients.tools.mcp.session import McpSession

MOST_OF_CALLERS: Final = 32
"""So many sessions in callers' names are kept open; the one that was used least recently gives way."""

IDLE_S: Final = 120.0
"""A session in a caller's name that was not used for so many seconds is closed, and its token forgotten."""

type SessionKey = tuple[str, str]


class Sessions:
    """Keeps sessions open in this process."""

    def __init__(self, pinned: PinnedClient, tokens: SourceTokens) -> None:
        self.pinned = pinned
        self.tokens = tokens
        self.open: dict[SessionKey, McpSession] = {}
        self.timers: dict[SessionKey, asyncio.TimerHandle] = {}
        self.retired: set[McpSession] = set()

    @asynccontextmanager
    async def using(self, server: ToolServer, credential: Credential) -> AsyncGenerator["McpSession"]:
        """Use the open session with a server, which stays open meanwhile. Raises ToolError where it can't be opened."""
        session = self.session(server, credential)
        with session.in_use():
            try:
                await session.client()
            except ToolError:
                self.forget(session)
                raise
            yield session

    def session(self, server: ToolServer, credential: Credential) -> "McpSession":
        """Return the session with a server, a new one where none is open."""
        key = key_of(server, credential)
        session = self.open.pop(key, None)
        if session is None or session.has_ended:
            session = self.new_session(server, credential)
        self.open[key] = session
        if credential.token:
            self.limit(key)
        return session

    def new_session(self, server: ToolServer, credential: Credential) -> "McpSession":
        from clients.tools.mcp.session import McpSession  # noqa: PLC0415 - the library is imported at its first use
        from clients.tools.mcp.transport import EgressTransport  # noqa: PLC0415 - as above

        credentials = partial(server_credentials, self.tokens, server, credential.token)
        return McpSession(server, EgressTransport(server, self.pinned, credentials))

    def limit(self, key: SessionKey) -> None:
        """Close a caller's session after a while without use, and the oldest one of too many."""
        self.stop_timer(key)
        self.timers[key] = asyncio.get_running_loop().call_later(IDLE_S, self.end, key)
        if len(self.timers) > MOST_OF_CALLERS:
            self.end(next(self.of_callers()))

    def of_callers(self) -> Iterator[SessionKey]:
        """Yield the keys of sessions in callers' names, the one that was used least recently first."""
        return (each for each in self.open if each in self.timers)

    def end(self, key: SessionKey) -> None:
        if session := self.open.get(key):
            self.retire(session)

    def retire(self, session: "McpSession") -> None:
        """Use a session no more; the calls of other turns that are under way in it go on."""
        self.forget(session)
        self.retired.add(session)
        session.task.add_done_callback(lambda _: self.retired.discard(session))
        session.retire()

    def forget(self, session: "McpSession") -> None:
        for key in [key for key, each in self.open.items() if each is session]:
            del self.open[key]
            self.stop_timer(key)

    def stop_timer(self, key: SessionKey) -> None:
        if timer := self.timers.pop(key, None):
            timer.cancel()

    async def close(self) -> None:
        for key in list(self.timers):
            self.stop_timer(key)
        for session in (*self.open.values(), *self.retired):
            await session.close()
        self.open.clear()


def key_of(server: ToolServer, credential: Credential) -> SessionKey:
    """Return the key of a session: its server, and a hash of the token in whose name it is opened."""
    return server.label, hashlib.sha256(credential.token.encode()).hexdigest() if credential.token else ""
