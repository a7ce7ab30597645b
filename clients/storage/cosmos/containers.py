"""Which containers does the store have in Azure Cosmos DB, and how are they indexed?

Only the keys and the fields of `find` are indexed, because a write pays for every indexed path; `id` and `_ts` always
are. The account has strong consistency, which a client can weaken but not strengthen: a writer whose slot was rejected
reads the slot of the other writer, and must see it.
"""

from typing import Any

from msgspec import Struct

from clients.storage.port import Container

CONSISTENCIES = ("Strong", "BoundedStaleness")
FOUND_BY = ("/body/kind", "/body/status", "/body/at")
LEVELS: dict[Container, tuple[str, ...]] = {
    Container.TURNS: ("tenant", "subject", "thread"),
    Container.MONEY: ("tenant",),
    Container.FLEET: ("backend",),
}


class ContainerDefinition(Struct, frozen=True, kw_only=True):
    """`default_ttl` -1: documents stay, unless they have a time to live of their own (seconds)."""

    container: Container
    paths: tuple[str, ...]
    indexing: dict[str, Any]
    default_ttl: int = -1


def definition(container: Container) -> ContainerDefinition:
    paths = tuple(f"/{level}" for level in LEVELS[container])
    included = [f"{path}/?" for path in (*paths, *FOUND_BY)]
    indexing: dict[str, Any] = {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": path} for path in included],
        "excludedPaths": [{"path": "/*"}],
        "compositeIndexes": [[{"path": path, "order": "ascending"} for path in FOUND_BY]],
    }
    return ContainerDefinition(container=container, paths=paths, indexing=indexing)


DEFINITIONS = tuple(definition(container) for container in Container)


def as_resource(wanted: ContainerDefinition) -> dict[str, Any]:
    """Return a definition in the shape of the resource `sqlContainers`, for infrastructure as code."""
    kind = "MultiHash" if len(wanted.paths) > 1 else "Hash"
    return {
        "id": wanted.container.value,
        "partitionKey": {"paths": list(wanted.paths), "kind": kind, "version": 2},
        "indexingPolicy": wanted.indexing,
        "defaultTtl": wanted.default_ttl,
    }
