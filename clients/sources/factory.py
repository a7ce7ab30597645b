"""Which connector reads each kind of source?"""

from collections.abc import Callable

from clients.clock import Clock
from clients.sources.ai_search import AiSearch
from clients.sources.cosmos_query import AccountOf, CosmosQuery
from clients.sources.egress import PinnedClient, pinned_client
from clients.sources.http_json import HttpJson
from clients.sources.port import SourceConnector
from clients.sources.reader import SourceReader
from clients.sources.sqlite_search import SqliteSearch
from clients.sources.tokens import IdentityTokens
from clients.storage.cosmos.settings import CosmosAccount
from domain.sources.catalog import Source, SourceKind, Sources


def build_reader(
    sources: Sources,
    clock: Clock,
    *,
    loopback: bool,
    client_id: str | None,
    account_of: AccountOf | None = None,
    blobs: Callable[[PinnedClient], SourceConnector] | None = None,
) -> SourceReader:
    """Return the reader of all sources. Nothing is opened before its first use.

    `client_id` names a user-assigned managed identity. `blobs` returns what reads blobs, where a source is one.
    """
    client = pinned_client(loopback=loopback)
    tokens = IdentityTokens(clock, client_id=client_id)

    def managed_account(source: Source) -> CosmosAccount:
        return CosmosAccount(url=source.address, database=source.target[0], client_id=client_id or "")

    return SourceReader(
        sources,
        {
            SourceKind.HTTP: HttpJson(client, tokens),
            SourceKind.COSMOS: CosmosQuery(client, account_of or managed_account, clock),
            SourceKind.SQLITE_SEARCH: SqliteSearch(),
            SourceKind.AI_SEARCH: AiSearch(client, tokens),
            **({SourceKind.BLOB: blobs(client)} if blobs else {}),
        },
        clock,
    )
