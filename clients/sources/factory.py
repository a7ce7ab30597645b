"""Which connector reads which kind of source?"""

import httpx

from clients.clock import Clock
from clients.sources.ai_search import AiSearch
from clients.sources.cosmos_query import AccountOf, CosmosQuery
from clients.sources.egress import PinnedClient
from clients.sources.http_json import HttpJson
from clients.sources.reader import SourceReader
from clients.sources.sqlite_search import SqliteSearch
from clients.sources.tokens import IdentityTokens
from clients.storage.cosmos.settings import CosmosAccount
from domain.sources.catalog import Source, SourceKind, Sources


def build_reader(
    sources: Sources, clock: Clock, *, loopback: bool, identity: str | None, account_of: AccountOf | None = None
) -> SourceReader:
    """Return the reader of all sources; nothing is opened before its first use.

    `identity` is the client id of a user-assigned managed identity. No connection is kept for a source, so that each
    goes to an address that was judged for it.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    caller = PinnedClient(httpx.AsyncClient(limits=limits, trust_env=False), loopback=loopback)
    tokens = IdentityTokens(clock, client_id=identity)

    def managed(source: Source) -> CosmosAccount:
        return CosmosAccount(url=source.address, database=source.target[0], client_id=identity or "")

    return SourceReader(
        sources,
        {
            SourceKind.HTTP: HttpJson(caller, tokens),
            SourceKind.COSMOS: CosmosQuery(caller, account_of or managed, clock),
            SourceKind.SQLITE_SEARCH: SqliteSearch(),
            SourceKind.AI_SEARCH: AiSearch(caller, tokens),
        },
        clock,
    )
