"""Which credentials does a server of tools get, and where does it find the key of a call?"""

from collections.abc import Mapping
from typing import Final

from clients.sources.egress import authorization_headers
from clients.sources.port import SourceError, SourceTokens
from clients.tools.port import CallFailure, ToolError
from domain.tools.catalog import KeyPlace, ServerAuth, ServerTool, ToolServer

GRANT_EXPIRED: Final = (
    "The call was not sent: the user's permission for this server has expired. The user has to answer once more, in a "
    "new turn; until then no call of this server can be sent."
)


async def server_credentials(tokens: SourceTokens, server: ToolServer, grant: str = "") -> Mapping[str, str]:
    """Return the header that authenticates the app to a server. Raises ToolError where there is no token.

    `grant` is a token of the caller, for a server that is called in its name.
    """
    if server.auth is ServerAuth.OBO:
        if not grant:
            raise ToolError(CallFailure.NOT_SENT, GRANT_EXPIRED)
        return {"authorization": f"Bearer {grant}"}
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
