"""How are the database and its containers created? `python -m clients.storage.cosmos.setup`, safe to repeat.

It reads the same GANGLION_COSMOS_ variables as the application. An identity with access to data alone cannot create a
database: on Azure the infrastructure creates it, from the definitions that `--print` writes as JSON.
"""

import argparse
import asyncio
import json
import os
import sys
from typing import Any

from azure.core.exceptions import AzureError
from azure.cosmos import PartitionKey

from clients.clock import SystemClock
from clients.storage.cosmos.account import connected
from clients.storage.cosmos.containers import DEFINITIONS, ContainerDefinition, as_resource
from clients.storage.cosmos.errors import error_of
from clients.storage.cosmos.settings import CosmosAccount, account_from
from domain.errors import GanglionError


async def set_up(account: CosmosAccount, *, now: float) -> None:
    """Create what is missing and bring the containers' policies up to date. Safe to repeat."""
    try:
        async with connected(account, now=now) as client:
            database = await client.create_database_if_not_exists(account.database)
            for wanted in DEFINITIONS:
                await ensure(database, wanted)
    except AzureError as error:
        raise error_of(error, write=True) from error


async def ensure(database: Any, wanted: ContainerDefinition) -> None:
    key = partition_key(wanted)
    policies = {"indexing_policy": wanted.indexing, "default_ttl": wanted.default_ttl}
    container = await database.create_container_if_not_exists(wanted.container.value, key, **policies)
    found = await container.read()
    if found.get("indexingPolicy") != wanted.indexing or found.get("defaultTtl") != wanted.default_ttl:
        await database.replace_container(container, key, **policies)


def partition_key(wanted: ContainerDefinition) -> PartitionKey:
    """Return the key's definition: hierarchical where it has several levels."""
    paths = list(wanted.paths)
    return PartitionKey(path=paths, kind="MultiHash") if len(paths) > 1 else PartitionKey(path=paths[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m clients.storage.cosmos.setup", description="creates the store's containers"
    )
    parser.add_argument(
        "--print", action="store_true", help="write the containers' definitions as JSON, create nothing"
    )
    if parser.parse_args().print:
        sys.stdout.write(json.dumps([as_resource(wanted) for wanted in DEFINITIONS], indent=2) + "\n")
        return
    try:
        asyncio.run(set_up(account_from(os.environ), now=SystemClock().now()))
    except GanglionError as problem:
        sys.exit(f"cosmos_setup: {problem}")


if __name__ == "__main__":
    main()
