"""How does a turn get the rights of its caller for servers that want them, and until when does it have them?

A caller's token can be exchanged only while it is valid, so this is done when the turn is admitted. A turn that has no
token any more calls no such server: its caller has to answer anew.
"""

from collections.abc import Iterable, Mapping

from clients.backends.credentials import BearerToken
from clients.storage.retry import with_retries
from clients.tools.on_behalf_of import ExchangeRefused, TokenExchange
from domain.content.tools import ToolConfig
from domain.errors import Invalid
from domain.identity.owners import Owner
from domain.tools.catalog import ServerAuth, ServerKind, ToolServer, ToolServers
from domain.turns.response import Response
from state.tools.grants import Grants

FIELD = "tools"
REFUSED = "caller_rights_refused"

type Granted = Mapping[str, BearerToken]
"""The tokens of a caller, by the label of the server that wants them."""


class CallerGrants:
    """Exchanges the caller's token for each server with `obo`, and keeps the results for the turn."""

    def __init__(self, *, grants: Grants | None, exchange: TokenExchange, servers: ToolServers) -> None:
        self.grants = grants
        self.exchange = exchange
        self.servers = servers

    def needed(self, config: ToolConfig) -> Mapping[str, ToolServer]:
        """Return the servers of a turn that want the rights of its caller."""
        known = {each.label: self.servers.known.get(each.label) for each in config.servers}
        return {label: server for label, server in known.items() if server and server.auth is ServerAuth.OBO}

    def check_unneeded(self, config: ToolConfig) -> None:
        """Raise Invalid for a turn that nobody waits for: there is no token to exchange when it begins."""
        for label in self.needed(config):
            raise refused(label, "a line of a batch has no access token when it runs")

    async def to_list(self, owner: Owner, servers: Iterable[ToolServer], assertion: str) -> Granted:
        """Return the tokens of the servers that list their tools for the caller alone.

        Raises Invalid where the caller has no rights, and Unavailable.
        """
        asked = [each for each in servers if each.auth is ServerAuth.OBO and each.kind is ServerKind.MCP]
        return {each.label: await self.exchanged(owner, each, assertion) for each in asked}

    async def obtain(
        self, owner: Owner, response_id: str, config: ToolConfig, assertion: str, *, known: Granted
    ) -> None:
        """Get the tokens of a new turn that are not `known` yet, and keep all of them. Raises as `to_list` does."""
        for label, server in self.needed(config).items():
            granted = known.get(label) or await self.exchanged(owner, server, assertion)
            await self.kept(label).keep(owner, response_id, label, granted)

    async def exchanged(self, owner: Owner, server: ToolServer, assertion: str) -> BearerToken:
        if not assertion:
            raise refused(server.label, "the request has no access token to exchange")
        self.kept(server.label)
        try:
            return await self.exchange.exchange(owner, assertion, server.scope)
        except ExchangeRefused as error:
            raise refused(server.label, str(error)) from None

    def kept(self, label: str) -> Grants:
        if self.grants is None:
            raise refused(label, "the service has no key to encrypt a token with")
        return self.grants

    async def token(self, response: Response, server: ToolServer) -> str:
        """Return the token for a server that wants the rights of the caller; an empty text where there is none."""
        if server.auth is not ServerAuth.OBO or self.grants is None:
            return ""
        return await with_retries(self.grants.clock, self.grants.token, response, server.label)

    async def drop(self, response: Response) -> None:
        """Forget the tokens of a turn that has ended."""
        if self.grants is not None and self.needed(response.options.tool_config):
            await self.grants.drop(response)


def refused(label: str, reason: str) -> Invalid:
    message = f"Invalid '{FIELD}': the server {label!r} can't be called in the caller's name: {reason}."
    return Invalid(message, field=FIELD, code=REFUSED)
