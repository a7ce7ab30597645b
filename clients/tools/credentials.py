"""Which credentials does a server of tools get, and where does it find the key of a call?"""

from collections.abc import Mapping

from clients.sources.egress import authorization_headers
from clients.sources.port import SourceError, SourceTokens
from clients.tools.port import CallFailure, ToolError
from domain.tools.catalog import KeyPlace, ServerAuth, ServerTool, ToolServer


async def server_credentials(tokens: SourceTokens, server: ToolServer) -> Mapping[str, str]:
    """Return the header that authenticates the app to a server. Raises ToolError where there is no token."""
    if server.auth is ServerAuth.SETTING:
        return {server.header: server.secret}
    try:
        return await authorization_headers(tokens, server.scope)
    except SourceError as error:
        raise ToolError(CallFailure.NOT_SENT, f"The call was not sent: {error}.") from None


def key_header(tool: ServerTool, key: str) -> Mapping[str, str]:
    return {tool.key.name: key} if tool.key and tool.key.place is KeyPlace.HEADER else {}


def key_argument(tool: ServerTool, key: str) -> Mapping[str, str]:
    return {tool.key.name: key} if tool.key and tool.key.place is KeyPlace.ARGUMENT else {}
