"""How do we ask Azure Cosmos DB? By one parameterised query, within one partition.

azure-cosmos connects by itself, so the host is judged but not pinned; its certificate, which names the account, is what
another host could not show. The address must be https for that.
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

    def __init__(self, caller: PinnedClient, account_of: AccountOf, clock: Clock) -> None:
        self.caller = caller
        self.account_of = account_of
        self.clock = clock

    async def rows(self, source: Source, ask: SourceQuery) -> Sequence[Row]:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - the SDK takes its time to import, and few need it

        from clients.storage.cosmos.account import connected  # noqa: PLC0415 - as above

        await self.caller.pin(source)
        database, container = source.target
        try:
            async with connected(self.account_of(source), now=self.clock.now(), strong=False) as client:
                items: Any = client.get_database_client(database).get_container_client(container)
                return await first_rows(items.query_items(source.query, **options_of(source, ask)), source.max_rows + 1)
        except AzureError as error:
            raise SourceError(f"it can't be queried ({type(error).__name__})") from None


async def first_rows(found: Any, most: int) -> Sequence[Row]:
    """Return the first rows without the system's own fields."""
    rows: list[Row] = []
    async for row in found:
        rows.append({name: value for name, value in cast("Row", row).items() if not name.startswith("_")})
        if len(rows) == most:
            break
    return rows


def options_of(source: Source, ask: SourceQuery) -> dict[str, Any]:
    options: dict[str, Any] = {"parameters": parameters_of(source, ask), "max_item_count": source.max_rows + 1}
    if ask.partition:
        parts = list(ask.partition)
        options["partition_key"] = parts if len(parts) > 1 else parts[0]
    return options


def parameters_of(source: Source, ask: SourceQuery) -> list[dict[str, object]]:
    given: dict[str, object] = {
        name: value if isinstance(value, str) else list(value) for name, value in ask.parameters.items()
    }
    if source.keywords:
        given[source.keywords_as] = list(ask.keywords)
    return [{"name": f"@{name}", "value": value} for name, value in given.items()]
