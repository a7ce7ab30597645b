"""How are rows read from Azure Cosmos DB? By one parameterised query, within one partition.

azure-cosmos opens its own connections, so the host is checked but not pinned. The address must be https: another host
has no certificate for the account's name.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from clients.clock import Clock
from clients.sources.egress import PinnedClient
from clients.sources.port import Row, SourceError
from clients.storage.cosmos.settings import CosmosAccount
from domain.sources.catalog import Source, SourceQuery

type AccountOf = Callable[[Source], CosmosAccount]


class CosmosQuery:
    """Reads the rows of a query."""

    def __init__(self, client: PinnedClient, account_of: AccountOf, clock: Clock) -> None:
        self.client = client
        self.account_of = account_of
        self.clock = clock

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Row]:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - the SDK is slow to import and seldom used

        from clients.storage.cosmos.account import connected  # noqa: PLC0415 - as above

        await self.client.pin(source)
        database, container = source.target
        try:
            async with connected(self.account_of(source), now=self.clock.now(), strong=False) as account:
                items: Any = account.get_database_client(database).get_container_client(container)
                return await first_rows(
                    items.query_items(source.query, **options_of(source, query)), source.max_rows + 1
                )
        except AzureError as error:
            raise SourceError(f"the query failed ({type(error).__name__})") from None


async def first_rows(items: Any, limit: int) -> Sequence[Row]:
    """Return the first rows without the fields that Cosmos DB adds."""
    rows: list[Row] = []
    async for row in items:
        rows.append({name: value for name, value in cast("Row", row).items() if not name.startswith("_")})
        if len(rows) == limit:
            break
    return rows


def options_of(source: Source, query: SourceQuery) -> dict[str, Any]:
    options: dict[str, Any] = {"parameters": parameters_of(source, query), "max_item_count": source.max_rows + 1}
    if query.partition:
        parts = list(query.partition)
        options["partition_key"] = parts if len(parts) > 1 else parts[0]
    return options


def parameters_of(source: Source, query: SourceQuery) -> list[dict[str, object]]:
    values: dict[str, object] = {
        name: value if isinstance(value, str) else list(value) for name, value in query.parameters.items()
    }
    if source.keywords:
        values[source.keywords_as] = list(query.keywords)
    return [{"name": f"@{name}", "value": value} for name, value in values.items()]
