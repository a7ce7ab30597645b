"""Which containers does the Cosmos DB account have? Import this module late: its SDK takes half a second."""

from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from clients.storage.cosmos.account import connected
from clients.storage.cosmos.settings import account_from
from clients.storage.port import Container
from ganglion.doctor.outside import UnreachableError
from settings import Settings


async def read_containers(settings: Settings, *, now: float) -> Mapping[str, Mapping[str, Any] | None]:
    """Return the properties of each container, None where it does not exist. Raises UnreachableError."""
    account = account_from(settings.variables)
    try:
        async with connected(account, now=now, strong=False) as client:
            database = client.get_database_client(account.database)
            return {each.value: await properties(database.get_container_client(each.value)) for each in Container}
    except AzureError as error:
        raise UnreachableError(reason(error)) from None


async def read_consistency(settings: Settings, *, now: float) -> str:
    """Return the account's default consistency. Raises UnreachableError."""
    try:
        async with connected(account_from(settings.variables), now=now, strong=False) as client:
            account: Any = await client.client_connection.GetDatabaseAccount()
            return str(account.ConsistencyPolicy["defaultConsistencyLevel"])
    except AzureError as error:
        raise UnreachableError(reason(error)) from None


def reason(error: AzureError) -> str:
    return f"{type(error).__name__}: {(error.message or 'no answer').splitlines()[0]}"


async def properties(container: Any) -> Mapping[str, Any] | None:
    try:
        return await container.read()
    except CosmosResourceNotFoundError:
        return None
