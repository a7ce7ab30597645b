"""Which connector calls the tools of configured servers?"""

import httpx

from clients.clock import Clock
from clients.sources.egress import PinnedClient
from clients.sources.tokens import IdentityTokens
from clients.tls import tls_context
from clients.tools.http_tool import HttpTool


def build_tools(clock: Clock, *, loopback: bool, client_id: str | None) -> HttpTool:
    """Return the connector. `loopback` allows servers on this machine, `client_id` names a user-assigned identity.

    Connections are not reused, so that each one goes to an address that was checked for it.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    client = PinnedClient(httpx.AsyncClient(limits=limits, trust_env=False, verify=tls_context()), loopback=loopback)
    return HttpTool(client, IdentityTokens(clock, client_id=client_id))
