"""Which connector calls the tools of configured servers?"""

from clients.clock import Clock
from clients.sources.egress import pinned_client
from clients.sources.tokens import IdentityTokens
from clients.tools.http_tool import HttpTool


def build_tools(clock: Clock, *, loopback: bool, client_id: str | None) -> HttpTool:
    """Return the connector. `loopback` allows servers on this machine, `client_id` names a user-assigned identity.

    Connections are not reused, so that each one goes to an address that was checked for it.
    """
    client = pinned_client(loopback=loopback)
    return HttpTool(client, IdentityTokens(clock, client_id=client_id))
