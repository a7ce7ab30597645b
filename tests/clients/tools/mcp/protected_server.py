"""Which server of the official MCP SDK takes only tokens that were issued for it?"""

from collections.abc import Mapping
from typing import Any, Literal

import anyio
import jwt
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.caching import CacheHint
from mcp.server.mcpserver import Context, MCPServer
from pydantic import AnyHttpUrl


class Verifier:
    """Checks signature, audience and expiry, as a server of MCP has to."""

    def __init__(self, keys: Mapping[str, jwt.PyJWK], audience: str) -> None:
        self.keys = keys
        self.audience = audience

    async def verify_token(self, token: str) -> AccessToken | None:
        await anyio.lowlevel.checkpoint()
        try:
            key = self.keys[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], audience=self.audience)
        except (jwt.InvalidTokenError, KeyError):
            return None
        return AccessToken(
            token=token, client_id=claims["azp"], scopes=claims["scp"].split(), subject=claims["oid"], claims=claims
        )


async def whoami() -> str:
    """Tells who asks."""
    await anyio.lowlevel.checkpoint()
    token = get_access_token()
    return str(token.subject) if token else "nobody"


async def wait(steps: int, context: Context[Any]) -> str:
    """Takes its time, and tells who waits."""
    for step in range(steps):
        await anyio.sleep(0.05)
        await context.report_progress(step, steps)
    return await whoami()


def ticket_server(keys: Mapping[str, jwt.PyJWK], *, audience: str, scope: Literal["public", "private"]) -> MCPServer:
    auth = AuthSettings(
        issuer_url=AnyHttpUrl("http://127.0.0.1:1"),
        resource_server_url=AnyHttpUrl("http://127.0.0.1:1/mcp"),
        validate_token_resource=False,
        required_scopes=["Tickets.ReadWrite"],
    )
    hint = CacheHint(ttl_ms=600_000, scope=scope)
    server = MCPServer(
        "tickets",
        log_level="ERROR",
        token_verifier=Verifier(keys, audience),
        auth=auth,
        cache_hints={"tools/list": hint},
    )
    server.add_tool(whoami)
    server.add_tool(wait)
    return server
