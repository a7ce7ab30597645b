"""How do tests reach an MCP server that takes tokens of callers alone? The official SDK checks them."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from clients.clock import SystemClock
from clients.tools.factory import ToolClients, build_tools
from clients.tools.port import ToolAnswer, ToolRequest, in_name_of
from domain.config.tools_toml import tools_from_toml
from domain.identity.owners import Owner
from domain.tools.catalog import ToolServer
from domain.tools.listings.listing import ToolListing
from standins.issuer.entra_tokens import AUDIENCE, LocalIssuer, guid_of, issuer_in, published_keys
from standins.issuer.on_behalf_of import ASSERTION_TYPE, DOWNSTREAM, EXCHANGE_AUDIENCE, JWT_BEARER, exchanged
from standins.mcp_tools.faults import FaultyApp, McpFaults
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.listening import listening
from tests.fakes.tools import caller_server

FILE = f"""{caller_server("tickets", "mcp")}
[servers.tickets.tools.whoami]
effect = "read"

[servers.tickets.tools.wait]
effect = "read"
timeout_s = 30
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """The server, what has arrived there, the product's client, and the issuer of tokens."""

    server: ToolServer
    faults: McpFaults
    tools: ToolClients
    issuer: LocalIssuer
    clock: FakeClock

    def owner(self, user: str) -> Owner:
        return Owner(tenant=guid_of("tenant", "contoso"), subject=f"user:{guid_of('user', f'contoso/{user}')}")

    def token(self, user: str, *, lifetime_s: int = 3600, **claims: Any) -> str:
        """Return what the issuer gives for the token of a user: one of the user's own for this server."""
        now = SystemClock().now()
        proof = self.issuer.identity_token(now=now, resource=EXCHANGE_AUDIENCE)
        form = {
            "grant_type": JWT_BEARER,
            "requested_token_use": "on_behalf_of",
            "client_id": AUDIENCE,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": proof,
            "assertion": self.issuer.user_token(now=now, user=user),
            "scope": f"{DOWNSTREAM}/.default",
        }
        tenant = guid_of("tenant", "contoso")
        given = exchanged(form, self.issuer, tenant, now=now, lifetime_s=lifetime_s)
        if not claims:
            return given
        return self.issuer.sign(jwt.decode(given, options={"verify_signature": False}) | claims)

    async def call(self, user: str, token: str, name: str = "whoami", **arguments: Any) -> ToolAnswer:
        return await self.tools.call(
            ToolRequest(
                server=self.server,
                tool=self.server.tools[name],
                arguments=arguments,
                key="mcp_1",
                owner=self.owner(user),
                grant=token,
            )
        )

    async def listing(self, user: str, token: str) -> ToolListing:
        return await self.tools.listing(self.server, in_name_of(self.owner(user), self.server, token))

    def sent(self, method: str) -> list[str]:
        """Return the tokens of the requests that had this method of MCP."""
        asked = [each for each in self.faults.requests if each["body"].get("method") == method]
        return [each["headers"]["authorization"].removeprefix("Bearer ") for each in asked]


@contextlib.asynccontextmanager
async def protected(folder: Path, *, era: str = "new", scope: Any = "private") -> AsyncGenerator[Protected]:
    """Serve tools; `scope` says whether callers may share the list of them."""
    from tests.clients.tools.mcp.protected_server import ticket_server  # noqa: PLC0415 - the SDK takes a while

    issuer, clock, faults = issuer_in(folder), FakeClock(), McpFaults(is_old=era == "old")
    keys = {each["kid"]: jwt.PyJWK(each) for each in published_keys(issuer.key_set)}
    tools = build_tools(clock, loopback=True, client_id=None)
    app = ticket_server(keys, audience=DOWNSTREAM, scope=scope).streamable_http_app()
    async with listening(FaultyApp(app, faults)) as url:
        server = tools_from_toml(FILE.format(url=url), {}, on_azure=False).known["tickets"]
        try:
            yield Protected(server=server, faults=faults, tools=tools, issuer=issuer, clock=clock)
        finally:
            await tools.close()
